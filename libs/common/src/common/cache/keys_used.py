"""Which idempotency keys were used, and for which jobs: so that a submission that is repeated makes no second job.

`once:<hash of client and key>`: a hash with the job's `id`, the `print` of the submission, and its `state`: `pending`
while the submission that has the `token` makes the job, which counts `until` then, and `accepted` from then on. Times
are the server's own, in milliseconds, since several gateways must agree about them.
"""

import hashlib
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from common.cache.commands import Commands, Script
from common.cache.keys import Keys
from common.cache.leases import milliseconds

# The first that comes makes the job; who comes while it does is told so. If that takes longer than it may, its
# gateway is gone, and the next one goes on with the same job, since its message may be on the broker.
# KEYS: idempotency key. ARGV: id of the job that would be made, print, token, milliseconds for which a hold counts,
# milliseconds to live. Returns {what, id}.
_USE = Script("""
local used = redis.call('HMGET', KEYS[1], 'id', 'print', 'state', 'token', 'until')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if used[1] and used[2] ~= ARGV[2] then return {'otherwise', used[1]} end
if used[3] == 'accepted' then return {'accepted', used[1]} end
if used[1] and used[4] ~= ARGV[3] and tonumber(used[5]) > now then return {'pending', used[1]} end
local id = used[1] or ARGV[1]
redis.call('HSET', KEYS[1], 'id', id, 'print', ARGV[2], 'state', 'pending', 'token', ARGV[3], 'until', now + ARGV[4])
if not used[1] then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return {'held', id}
""")

# The broker has confirmed the job, whoever holds the key by now. If the key is free again, another submission took
# the job over and withdrew it.
# KEYS: idempotency key, job. ARGV: id. Returns 1 if the job lives.
_ACCEPT = Script("""
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'state', 'accepted')
  redis.call('HDEL', KEYS[1], 'token', 'until')
  return 1
end
local job = redis.call('HMGET', KEYS[2], 'rank', 'record')
return (tonumber(job[1] or '-1') < 2 or job[2]) and 1 or 0
""")

# KEYS: idempotency key. ARGV: token, 1 if the job was begun by another submission: then only the hold ends.
_LET_GO = Script("""
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then return redis.call('HSET', KEYS[1], 'until', 0) end
return redis.call('DEL', KEYS[1])
""")

# KEYS: idempotency key. ARGV: id.
_FORGET = Script("""
return redis.call('HGET', KEYS[1], 'id') == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
""")


class Use(Enum):
    """What is known of an idempotency key."""

    HELD = "held"
    PENDING = "pending"
    ACCEPTED = "accepted"
    OTHERWISE = "otherwise"


@dataclass(frozen=True)
class Used:
    """The answer to `use`, with the id of the job that the key stands for; if it is held, whoever asked makes it."""

    use: Use
    job_id: str


@dataclass(frozen=True)
class KeyHold:
    """One submission's hold on an idempotency key of its client's."""

    key: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def on(cls, client: str, key: str) -> Self:
        """A hold to ask for. The key's name in the cache is always as long, and tells nothing."""
        return cls(hashlib.sha256(f"{client}\0{key}".encode()).hexdigest())


class KeysUsed:
    """The idempotency keys of all clients. Everything here raises CacheUnavailable."""

    def __init__(self, commands: Commands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def use(self, hold: KeyHold, fingerprint: str, job_id: str, held_s: float, ttl_s: float) -> Used:
        """Use the key for a submission, and hold it for `held_s` seconds if there is no job under it yet.

        A key that was used is known for `ttl_s` seconds. To use it again under the same hold changes nothing.
        """
        arguments = (job_id, fingerprint, hold.token, round(held_s * 1000), milliseconds(ttl_s))
        use, of = await _USE.run(self._commands, [self._name(hold)], *arguments)
        return Used(Use(use.decode()), of.decode())

    async def accept(self, hold: KeyHold, job_id: str) -> bool:
        """Note that the broker has the job; false if another submission has withdrawn it meanwhile."""
        return bool(await _ACCEPT.run(self._commands, [self._name(hold), self._keys.job(job_id)], job_id))

    async def let_go(self, hold: KeyHold, *, is_anothers_job: bool) -> None:
        """Give up the hold; the key is free if no other submission may have published the job before."""
        await _LET_GO.run(self._commands, [self._name(hold)], hold.token, int(is_anothers_job))

    async def forget(self, hold: KeyHold, job_id: str) -> None:
        """Free the key if it still stands for this job, of which nothing can be read any more."""
        await _FORGET.run(self._commands, [self._name(hold)], job_id)

    def _name(self, hold: KeyHold) -> str:
        return self._keys.once + hold.key
