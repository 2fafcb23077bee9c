"""The line of waiting jobs in numbers: how long it is, and how fast those that are working take from it.

- `places`: a counter; each job gets the next number as its `place` when it is marked (scripts.py). How many came
  after a job, and so how far from the end of the line it is, is known without looking at any other job;
- `fleet`: a hash of the living workers: how many jobs each runs at once, when it said so, in seconds of the server's
  time, and how many seconds a job takes there;
- `pace`: the seconds that a job took where it was said last, for workers that have not finished any yet.
"""

import time
from dataclasses import dataclass

from common.cache.commands import Commands, Script
from common.cache.keys import Keys
from common.cache.leases import WORKER_TTL_S

# KEYS: fleet, pace. ARGV: worker, slots, seconds that a job takes or ''.
_TELL = Script("""
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. time[1] .. ' ' .. ARGV[3])
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
return 1
""")

# Workers that have not been heard of for so long are dead.
# KEYS: waiting, running, places, fleet, pace. ARGV: seconds.
# Returns {jobs that wait, jobs that run, last place, slots, jobs a second as text}.
_SAMPLE = Script("""
local now = tonumber(redis.call('TIME')[1])
local pace = tonumber(redis.call('GET', KEYS[5]) or '0')
local fleet, slots, rate = redis.call('HGETALL', KEYS[4]), 0, 0
for i = 1, #fleet, 2 do
  local own, at, seconds = string.match(fleet[i + 1], '^(%d+) (%d+) (.*)$')
  if now - tonumber(at) > tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[4], fleet[i])
  else
    slots = slots + tonumber(own)
    seconds = tonumber(seconds) or pace
    if seconds > 0 then rate = rate + tonumber(own) / seconds end
  end
end
local places = tonumber(redis.call('GET', KEYS[3]) or '0')
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), places, slots, string.format('%.9g', rate)}
""")


@dataclass(frozen=True)
class LineSample:
    """The line at one moment. `last_place` is the number of the job that joined it last.

    `rate` is how many jobs a second the living workers finish when all their slots are taken; 0 if not known.
    """

    waiting: int
    running: int
    last_place: int
    slots: int
    rate: float


class Line:
    """What workers say of their pace, and what is made of it. Everything here raises CacheUnavailable."""

    def __init__(self, commands: Commands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def tell(self, worker: str, slots: int, seconds: float | None) -> None:
        """A worker lives, with so many slots, and a job takes so many seconds of one, if that is known yet."""
        keys = [self._keys.fleet, self._keys.pace]
        await _TELL.run(self._commands, keys, worker, slots, "" if seconds is None else f"{seconds:.6f}")

    async def leave(self, worker: str) -> None:
        """The worker takes no more jobs."""
        await self._commands.call(b"HDEL", self._keys.fleet, worker)

    async def sample(self) -> LineSample:
        """The line as it is now, in one round trip."""
        names = self._keys
        keys = [names.waiting, names.running, names.places, names.fleet, names.pace]
        waiting, running, last_place, slots, rate = await _SAMPLE.run(self._commands, keys, WORKER_TTL_S)
        return LineSample(waiting, running, last_place, slots, float(rate))

    async def oldest_waiting_s(self) -> float:
        """How long the job that is due for longest has waited for a worker, of those that can be recovered."""
        first: list[bytes] = await self._commands.call(b"ZRANGE", self._keys.waiting, 0, 0, b"WITHSCORES")
        return max(0.0, time.time() - float(first[1]) / 1000) if first else 0.0
