"""What cancels.py does, each step one script of Redis."""

from common.cache.commands import Script

# A job that nobody holds ends at once. That nobody does is known only of one that the gateway has marked: a cache
# that was emptied forgets the copy of the message together with the lease.
# KEYS: job, waiting, running, text. ARGV: record that is known, record that is to replace it, milliseconds to live,
# channel of ends, channel of cancels, id, milliseconds for the wish alone to live where nothing is known of the job.
# Returns {what, record or false}.
CANCEL = Script("""
local job = redis.call('HMGET', KEYS[1], 'rank', 'record', 'owner', 'message')
if tonumber(job[1] or '-1') >= 2 then return {'ended', job[2]} end
if job[4] and not job[3] then
  if job[2] ~= ARGV[1] then return {'changed', job[2]} end
  redis.call('HSET', KEYS[1], 'rank', 2, 'record', ARGV[2], 'cancel', 1)
  redis.call('HDEL', KEYS[1], 'token', 'attempts', 'message', 'place')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('DEL', KEYS[4])
  redis.call('ZREM', KEYS[2], ARGV[6])
  redis.call('ZREM', KEYS[3], ARGV[6])
  redis.call('PUBLISH', ARGV[4], ARGV[6])
  redis.call('PUBLISH', ARGV[5], ARGV[6])
  return {'cancelled', ARGV[2]}
end
redis.call('HSET', KEYS[1], 'cancel', 1)
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[7]) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return {'asked', job[2]}
""")

# What stays is a terminal rank without a record, as of a job that was withdrawn, and why.
# It is written first: a server without memory to spare refuses that, and then nothing is done.
# The first "attempt" of a record is its field: what a client chose comes later.
# KEYS: job, waiting, running. ARGV: milliseconds to live, channel of ends, channel of cancels, id, prefix of texts,
# how many attempts are known.
ERASE = Script("""
local job = redis.call('HMGET', KEYS[1], 'record', 'attempts')
redis.call('HSET', KEYS[1], 'rank', 2, 'deleted', 1)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field ~= 'rank' and field ~= 'deleted' then redis.call('HDEL', KEYS[1], field) end
end
local told = job[1] and string.match(job[1], '"attempt":(%d+)') or '0'
for attempt = 1, math.max(tonumber(told), tonumber(job[2] or '0'), tonumber(ARGV[6])) do
  redis.call('DEL', ARGV[5] .. ARGV[4] .. ':' .. attempt)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('PUBLISH', ARGV[2], ARGV[4])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
""")

# ARGV: prefix of jobs, ids. Returns those ids that somebody wants cancelled or has deleted.
UNWANTED = Script("""
local found = {}
for number = 2, #ARGV do
  local job = redis.call('HMGET', ARGV[1] .. ARGV[number], 'cancel', 'deleted')
  if job[1] or job[2] then found[#found + 1] = ARGV[number] end
end
return found
""")
