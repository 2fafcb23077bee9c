"""The steps of a job in the cache, each one script of Redis, so that it is one round trip and nobody comes between.

What the fields mean stands in cache.py.
"""

# Forward only, in one round trip: queued is written over nothing, in_progress over queued and itself,
# a terminal record over anything but another one.
# KEYS: job. ARGV: rank, record, milliseconds to live, channel, id, and 1 if only over nothing.
# Returns 1 if written.
ADVANCE = """
local current = tonumber(redis.call('HGET', KEYS[1], 'rank') or '-1')
local rank = tonumber(ARGV[1])
if current >= 2 or current > rank or (current == 0 and rank == 0) then return 0 end
if current >= 0 and ARGV[6] == '1' then return 0 end
redis.call('HSET', KEYS[1], 'rank', rank, 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if rank == 2 then
  redis.call('HDEL', KEYS[1], 'owner', 'token', 'attempts')
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return 1
"""

# Take the lease and count the attempt, unless the job is terminal or its owner lives. The token tells the
# same take, sent again because its answer was lost, from another delivery in the hands of the same worker.
# KEYS: job. ARGV: owner, token, prefix of the workers' keys, attempts known from the message,
# milliseconds to live. Returns {what, record or false, attempt}.
TAKE = """
local job = redis.call('HMGET', KEYS[1], 'rank', 'record', 'owner', 'attempts', 'token')
if tonumber(job[1] or '-1') >= 2 then return {'finished', job[2]} end
if job[3] == ARGV[1] and job[5] == ARGV[2] then return {'taken', job[2], tonumber(job[4])} end
if job[3] == ARGV[1] then return {'leased', false} end
if job[3] and redis.call('EXISTS', ARGV[3] .. job[3]) == 1 then return {'leased', false} end
local attempt = math.max(tonumber(job[4] or '0'), tonumber(ARGV[4])) + 1
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', ARGV[2], 'attempts', attempt)
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return {'taken', job[2], attempt}
"""

# KEYS: job. ARGV: owner, token.
RELEASE = """
local lease = redis.call('HMGET', KEYS[1], 'owner', 'token')
if lease[1] == ARGV[1] and lease[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'owner', 'token') end
return 1
"""

# Only what nobody has taken up yet may be withdrawn. KEYS: job.
WITHDRAW = """
local job = redis.call('HMGET', KEYS[1], 'rank', 'owner')
if job[1] == '0' and not job[2] then redis.call('DEL', KEYS[1]) end
return 1
"""

# The only step backwards: a queued record over nothing, or over exactly the record that is known.
# KEYS: job. ARGV: the known record, the queued one, milliseconds to live. Returns 1 if written, also the second time.
START_OVER = """
local current = redis.call('HGET', KEYS[1], 'record')
if current and current ~= ARGV[1] and current ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'rank', 0, 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
