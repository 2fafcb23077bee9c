"""Records by job id, the leases of workers, and the announcements of finished jobs, as Redis keeps them.

Under the prefix:
- `job:<id>`: a hash with the `record`'s JSON, its `rank` (how far the job has come), and while the job is
  not terminal the lease (`owner`, the worker, and `token`, its delivery), the number of `attempts` started, and,
  if the gateway published it, a copy of the `message` and its `place` in line. A terminal rank without a record:
  the job was withdrawn, or `deleted`; `cancel` and `deleted` are those of cancels.py;
- `worker:<name>`: there as long as the worker lives; a lease counts only while its owner's key is there;
- `waiting`, `running`: the ids of jobs whose message can be recovered, by when they are due or were taken;
  `horizon`: when the job was due that was taken last;
- `text:<id>:<attempt>` and the channel `text:<id>`: see texts.py;
- `once:<hash>`: keys_used.py; `places`, `fleet`, `pace`: line.py;
- channel `finished`: the id of each job that became terminal; channel `cancelled`: cancels.py.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from common.breaker import Breaker
from common.cache import scripts
from common.cache.announcements import Announcements
from common.cache.cancels import Cancels
from common.cache.commands import Commands, Part
from common.cache.connecting import LOST, CutOff
from common.cache.keys import Keys
from common.cache.keys_used import KeyHold, KeysUsed
from common.cache.leases import WORKER_TTL_S, Claim, Lease, Taken, milliseconds
from common.cache.line import Line
from common.cache.pieces import Pieces
from common.cache.plain_commands import PlainCommands
from common.cache.shared_connection import SharedConnection
from common.cache.texts import Texts, encode_piece
from common.errors import ErrorCode, JobDeleted, ServiceError
from common.jobs import TERMINAL, EncodedRecord, Record, Status
from common.settings import CacheSettings

TERMINAL_RANK = 2
RANK = {Status.QUEUED: 0, Status.IN_PROGRESS: 1} | dict.fromkeys(TERMINAL, TERMINAL_RANK)

_TERMINAL = str(TERMINAL_RANK).encode()
_QUEUED = str(RANK[Status.QUEUED]).encode()
_RUNS = str(RANK[Status.IN_PROGRESS]).encode()
_LIVES = b"1"
_RUN_ID = re.compile(rb"run_id:(\w+)")


class Cache:
    """Records by job id, the leases of workers, and the announcements of finished jobs."""

    def __init__(self, settings: CacheSettings) -> None:
        url, timeout_s = settings.redis_url.get_secret_value(), settings.cache_timeout_s
        breaker, self._cut_off = Breaker("cache", LOST), CutOff()
        way = SharedConnection if settings.cache_batching else PlainCommands
        self._commands: Commands = way(url, timeout_s, breaker, self._cut_off)
        self._keys = Keys(settings.redis_prefix)
        #: Which idempotency keys were used, and for which jobs.
        self.keys_used = KeysUsed(self._commands, self._keys)
        #: How long the line of waiting jobs is, and how fast it moves.
        self.line = Line(self._commands, self._keys)
        self._announcements = Announcements(url, self._keys.finished, timeout_s, breaker, self._cut_off)
        self.texts = Texts(self._commands, self._keys)
        self.pieces = Pieces(url, self._keys.texts, timeout_s, self._cut_off)
        words = Announcements(url, self._keys.cancelled, timeout_s, breaker, self._cut_off)
        self._listening = (self._announcements, words)
        #: Jobs that somebody wants cancelled, or has deleted.
        self.cancels = Cancels(self._commands, self._keys, words)
        self._run_id: bytes | None = None

    async def get(self, job_id: str) -> EncodedRecord | None:
        """The job's record, as it was written.

        Raises ServiceError `job_not_found` if the job was withdrawn, JobDeleted if it was deleted.
        """
        body, rank, place = await self._commands.call(b"HMGET", self._keys.job(job_id), b"record", b"rank", b"place")
        is_terminal = rank == _TERMINAL
        if body is None and is_terminal:
            if await self._commands.call(b"HEXISTS", self._keys.job(job_id), b"deleted"):
                raise JobDeleted
            raise ServiceError(ErrorCode.JOB_NOT_FOUND)
        if body is None:
            return None
        waits_at = int(place) if place is not None and rank == _QUEUED else None
        return EncodedRecord(body, is_terminal, rank == _RUNS, waits_at)

    async def advance(self, record: Record, ttl_s: float, *, over_nothing: bool = False) -> bool:
        """Write the record if that is a step forward, and say whether it was; a terminal one is announced.

        A queued record is written only where there is none, and so is every other one with `over_nothing`: for
        copies of what was read elsewhere, and may be out of date. The record lives for `ttl_s` seconds.
        """
        names = self._keys
        written: int = await scripts.ADVANCE.run(
            self._commands,
            [names.job(record.id), names.waiting, names.running, names.text(record.id, record.attempt)],
            *(RANK[record.status], record.encode(), milliseconds(ttl_s), names.finished, record.id),
            *(int(over_nothing), names.texts + record.id, encode_piece(record.attempt, 0, "")),
        )
        return written == 1

    async def mark(self, job_id: str, queued: bytes, ttl_s: float, message: bytes) -> int:
        """Write the record of a job that is about to be published, with a copy of its message to recover it by.

        The answer is the job's place in line; 0 if there was a record.
        """
        keys = [self._keys.job(job_id), self._keys.waiting, self._keys.places]
        arguments = (job_id, queued, milliseconds(ttl_s), message, _now())
        place: int = await scripts.MARK.run(self._commands, keys, *arguments)
        return place

    async def withdraw(self, job_id: str, ttl_s: float, hold: KeyHold | None = None) -> bool:
        """Say whether no worker has taken the job up; then, for `ttl_s` seconds, none will.

        The idempotency key that is held for the job is free then, unless another submission has it now: then the
        job is that one's, and stays.
        """
        keys = [self._keys.job(job_id), self._keys.waiting, self._keys.once + (hold.key if hold else "")]
        arguments = (milliseconds(ttl_s), job_id, hold.token if hold else "")
        return bool(await scripts.WITHDRAW.run(self._commands, keys, *arguments))

    async def missing_messages(self, grace_s: float, most: int, *, queue_is_empty: bool) -> list[bytes]:
        """Copies of the messages that should have come to a worker `grace_s` seconds ago and have not.

        Whoever gets a copy publishes it; nobody else gets the same one within the grace time.
        """
        names = self._keys
        found: list[bytes] = await scripts.MISSING.run(
            self._commands,
            [names.waiting, names.running, names.horizon],
            *(names.jobs, names.workers, _now(), milliseconds(grace_s), int(queue_is_empty), most),
        )
        return found

    async def start_over(self, known: bytes, queued: Record, ttl_s: float) -> bool:
        """Write the queued record over nothing or over exactly the `known` one, and say whether it was.

        For an operator who has a failed job tried again; everybody else goes forward only, with `advance`.
        """
        arguments = (known, queued.encode(), milliseconds(ttl_s))
        return bool(await scripts.START_OVER.run(self._commands, [self._keys.job(queued.id)], *arguments))

    async def take(
        self, job_id: str, lease: Lease, attempts_before: int, ttl_s: float, *, instead_of: str | None = None
    ) -> Taken:
        """Take the lease of a job and count the attempt, unless the job is finished or leased to another.

        Taking the same lease again changes nothing, so that it can be tried until an answer arrives. The
        number of the attempt is never below `attempts_before` + 1. If there is no record yet, the lease lives
        for `ttl_s` seconds. `instead_of` is a token of this worker's that is in its hands no more.
        """
        names = self._keys
        answer: list[Any] = await scripts.TAKE.run(
            self._commands,
            [names.job(job_id), names.waiting, names.running, names.horizon],
            *(lease.worker, lease.token, names.workers, attempts_before, milliseconds(ttl_s)),
            *(job_id, instead_of or "", _now(), milliseconds(WORKER_TTL_S)),
        )
        claim = Claim(answer[0].decode())
        record = Record.decode(answer[1]) if answer[1] else None
        return Taken(claim, record, answer[2], answer[3].decode() if answer[3] else None)

    async def release(self, job_id: str, lease: Lease, due_in_s: float = 0, *, attempted: bool = True) -> None:
        """Give up the lease, if it is still this one; the job should be taken again in about `due_in_s` seconds."""
        await scripts.RELEASE.run(
            self._commands,
            [self._keys.job(job_id), self._keys.waiting, self._keys.running],
            *(lease.worker, lease.token, job_id, _now() + round(due_in_s * 1000), int(not attempted)),
        )

    async def hold(self, started: Record, lease: Lease, ttl_s: float) -> bool:
        """Tell again what the cache may have forgotten: the record of a running job and the lease of it.

        Says whether the lease is this one now; another living worker's stays, and so does a terminal record.
        """
        arguments: list[Part] = [
            *(lease.worker, lease.token, self._keys.workers),
            *(started.encode(), milliseconds(ttl_s), started.attempt),
        ]
        return bool(await scripts.HOLD.run(self._commands, [self._keys.job(started.id)], *arguments))

    async def show_life(self, owner: str) -> bool:
        """Make the worker's leases count for another WORKER_TTL_S seconds.

        Says whether the cache still has its memory: false if it was started anew or emptied since the last sign.
        """
        lives = (self._keys.worker(owner), _LIVES, b"PX", milliseconds(WORKER_TTL_S), b"GET")
        known, server = await asyncio.gather(
            self._commands.call(b"SET", *lives, always=True), self._commands.call(b"INFO", b"server", always=True)
        )
        found = _RUN_ID.search(server)
        run_id = found[1] if found else b""
        is_first, is_same = self._run_id is None, self._run_id == run_id
        self._run_id = run_id
        return is_first or (known == _LIVES and is_same)

    async def show_death(self, owner: str) -> None:
        """Make the worker's leases void at once."""
        await self._commands.call(b"DEL", self._keys.worker(owner), always=True)

    async def ping(self) -> None:
        """Return if the cache answers; raises CacheUnavailable."""
        await self._commands.call(b"PING", always=True)

    def finished_jobs(self) -> AsyncIterator[str | None]:
        """The ids of jobs as they become terminal; None once when listening begins.

        Raises CacheUnavailable when the subscription is lost; what is announced before the next one is
        missed, so whoever waits must look for itself when it sees None.
        """
        return self._announcements.listen()

    def was_cut_off_within(self, seconds: float) -> bool:
        """Whether a connection broke so lately, the subscription's too: the cache may know less since then."""
        return self._cut_off.was_within(seconds)

    async def aclose(self) -> None:
        """Close all connections."""
        for announcements in self._listening:
            await announcements.aclose()
        await self._commands.aclose()


def _now() -> int:
    return round(time.time() * 1000)
