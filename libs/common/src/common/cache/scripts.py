"""The steps of a job in the cache, each one script of Redis, so that it is one round trip and nobody comes between.

What the fields mean stands in records.py. Times are in milliseconds of Unix time.
"""

from common.cache.commands import Script

# The record of a job that is about to be published, over nothing. The copy of its message makes it one that can be
# recovered, and it gets the next place in line (line.py).
# KEYS: job, waiting, places. ARGV: id, record, milliseconds to live, the message's copy, when the job is due.
# Returns the place in line; 0 if there was a record.
MARK = Script("""
if redis.call('HEXISTS', KEYS[1], 'rank') == 1 then return 0 end
local place = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[1], 'rank', 0, 'record', ARGV[2], 'message', ARGV[4], 'place', place)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
return place
""")

# Forward only, in one round trip: queued is written over nothing, in_progress over queued and itself,
# a terminal record over anything but another one. What somebody wants cancelled does not begin any more, whatever
# copies of older records are written over nothing. That an attempt begins is announced to those who follow its text,
# which is deleted when the job ends.
# KEYS: job, waiting, running, text. ARGV: rank, record, milliseconds to live, channel, id,
# 1 if only over nothing, channel of its text, what is announced there.
# Returns 1 if written.
ADVANCE = Script("""
local job = redis.call('HMGET', KEYS[1], 'rank', 'cancel')
local current, rank = tonumber(job[1] or '-1'), tonumber(ARGV[1])
if current >= 2 or current > rank or (current == 0 and rank == 0) then return 0 end
if current >= 0 and ARGV[6] == '1' then return 0 end
if job[2] and rank == 1 and ARGV[6] ~= '1' then return 0 end
redis.call('HSET', KEYS[1], 'rank', rank, 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if rank == 1 then redis.call('PUBLISH', ARGV[7], ARGV[8]) end
if rank == 2 then
  redis.call('DEL', KEYS[4])
  redis.call('HDEL', KEYS[1], 'owner', 'token', 'attempts', 'message', 'place')
  redis.call('ZREM', KEYS[2], ARGV[5])
  redis.call('ZREM', KEYS[3], ARGV[5])
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return 1
""")

# Take the lease and count the attempt, unless the job is terminal or its owner lives. The token tells the
# same take, sent again because its answer was lost, from another delivery in the hands of the same worker;
# the owner may name a token that it does not have in its hands, and so take over from itself. A first attempt
# moves the horizon; what a dead worker had comes back before what waits, and says nothing about it. What comes
# before it is due says nothing about the future either.
# Whom somebody wants cancelled gets no attempt any more: whoever could take it is to end it instead. Until then its
# message is not missing.
# To take is a sign of life, or a lease would be void from the first if the cache was away for longer than such a sign
# lasts. It has another value than those that tell whether the cache still has its memory.
# KEYS: job, waiting, running, horizon. ARGV: owner, token, prefix of the workers' keys, attempts known
# from elsewhere, milliseconds to live, id, token to take over or '', now, milliseconds that a sign of life lasts.
# Returns {what, record or false, attempt, token that holds the lease or false}.
TAKE = Script("""
local job = redis.call('HMGET', KEYS[1], 'rank', 'record', 'owner', 'attempts', 'token', 'cancel', 'deleted')
if tonumber(job[1] or '-1') >= 2 then
  return {job[2] and 'finished' or job[7] and 'deleted' or 'withdrawn', job[2], 0, false}
end
redis.call('SET', ARGV[3] .. ARGV[1], 'takes', 'NX', 'PX', ARGV[9])
local known = tonumber(ARGV[4])
if job[3] == ARGV[1] and job[5] == ARGV[2] and not job[6] then
  local attempt = math.max(tonumber(job[4]), known + 1)
  redis.call('HSET', KEYS[1], 'attempts', attempt)
  return {'taken', job[2], attempt, false}
end
if job[3] == ARGV[1] and job[5] ~= ARGV[2] and job[5] ~= ARGV[7] then return {'leased', false, 0, job[5]} end
if job[3] and job[3] ~= ARGV[1] and redis.call('EXISTS', ARGV[3] .. job[3]) == 1 then
  return {'leased', false, 0, false}
end
if job[6] then
  if redis.call('ZREM', KEYS[3], ARGV[6]) == 1 or redis.call('ZSCORE', KEYS[2], ARGV[6]) then
    redis.call('ZADD', KEYS[2], ARGV[8], ARGV[6])
  end
  return {'cancelled', job[2], math.max(tonumber(job[4] or '0'), known), false}
end
local attempt = math.max(tonumber(job[4] or '0'), known) + 1
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', ARGV[2], 'attempts', attempt)
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
local due = redis.call('ZSCORE', KEYS[2], ARGV[6])
if due then
  redis.call('ZREM', KEYS[2], ARGV[6])
  redis.call('ZADD', KEYS[3], ARGV[8], ARGV[6])
  local horizon = tonumber(redis.call('GET', KEYS[4]) or '0')
  due = math.min(tonumber(due), tonumber(ARGV[8]))
  if tonumber(job[4] or '0') == 0 and due > horizon then redis.call('SET', KEYS[4], due) end
end
return {'taken', job[2], attempt, false}
""")

# Give up the lease, if it is still this one; the attempt counts unless it was never made.
# KEYS: job, waiting, running. ARGV: owner, token, id, when the job is due again, 1 if the attempt was not made.
RELEASE = Script("""
local lease = redis.call('HMGET', KEYS[1], 'owner', 'token')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'token')
if ARGV[5] == '1' then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
if redis.call('ZREM', KEYS[3], ARGV[3]) == 1 or redis.call('ZSCORE', KEYS[2], ARGV[3]) then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
end
return 1
""")

# A worker tells again what it has in its hands, after the cache has lost its memory.
# KEYS: job. ARGV: owner, token, prefix of the workers' keys, record, milliseconds to live, attempts.
# Returns 1 if the lease is the worker's.
HOLD = Script("""
local job = redis.call('HMGET', KEYS[1], 'rank', 'owner')
if tonumber(job[1] or '-1') >= 2 then return 0 end
if job[2] and job[2] ~= ARGV[1] and redis.call('EXISTS', ARGV[3] .. job[2]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'rank', 1, 'record', ARGV[4], 'owner', ARGV[1], 'token', ARGV[2], 'attempts', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
""")

# Only what nobody has taken up yet may be withdrawn; what stays keeps a worker from taking it up later.
# If the job was submitted under an idempotency key (keys_used.py), the key is free together with that; but a job that
# another submission under the same key has taken over, or has accepted, is that one's.
# KEYS: job, waiting, idempotency key. ARGV: milliseconds to live, id, token of the hold on the idempotency key or ''.
# Returns 1 if whoever asks can forget the job, 0 if it lives.
WITHDRAW = Script("""
local job = redis.call('HMGET', KEYS[1], 'rank', 'owner', 'record')
local rank = tonumber(job[1] or '-1')
if job[2] or rank == 1 or (rank == 2 and job[3]) then return 0 end
if ARGV[3] ~= '' then
  local used = redis.call('HMGET', KEYS[3], 'id', 'state', 'token')
  if used[1] == ARGV[2] then
    if used[2] == 'accepted' then return 0 end
    if used[3] ~= ARGV[3] then return 1 end
    redis.call('DEL', KEYS[3])
  end
end
redis.call('HDEL', KEYS[1], 'record', 'message', 'attempts', 'place')
redis.call('HSET', KEYS[1], 'rank', 2)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
""")

# The only step backwards: a queued record over nothing, or over exactly the record that is known.
# KEYS: job. ARGV: the known record, the queued one, milliseconds to live. Returns 1 if written, also the second time.
START_OVER = Script("""
local current, deleted = unpack(redis.call('HMGET', KEYS[1], 'record', 'deleted'))
if deleted then return 0 end
if current and current ~= ARGV[1] and current ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'rank', 0, 'record', ARGV[2])
redis.call('HDEL', KEYS[1], 'cancel')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")

# The jobs whose message is evidently gone. Jobs are taken in the order in which they became due; so one is missing
# if others that became due later were taken, or if the queue is empty, and the grace time has passed.
# A running job whose worker is dead counts as due from when that is seen; but a worker may only have seemed dead,
# as all of them do after the cache was away.
# KEYS: waiting, running, horizon. ARGV: prefix of jobs, prefix of workers, now, milliseconds of grace,
# 1 if the queue is empty, how many at most.
# Returns the messages' copies; their jobs are due anew.
MISSING = Script("""
local now, grace, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - grace, 'LIMIT', 0, most)) do
  local owner = redis.call('HGET', ARGV[1] .. id, 'owner')
  if owner and redis.call('EXISTS', ARGV[2] .. owner) == 1 then
    redis.call('ZADD', KEYS[2], now, id)
  else
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZADD', KEYS[1], now, id)
  end
end
local horizon = ARGV[5] == '1' and now or math.min(now, tonumber(redis.call('GET', KEYS[3]) or '0'))
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', horizon - grace, 'LIMIT', 0, most)) do
  local job = redis.call('HMGET', ARGV[1] .. id, 'rank', 'message', 'owner')
  if not job[2] or tonumber(job[1] or '-1') >= 2 then
    redis.call('ZREM', KEYS[1], id)
  elseif job[3] and redis.call('EXISTS', ARGV[2] .. job[3]) == 1 then
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZADD', KEYS[2], now, id)
  else
    redis.call('ZADD', KEYS[1], now, id)
    found[#found + 1] = job[2]
  end
end
return found
""")
