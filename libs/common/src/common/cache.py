"""Redis: the one place that imports redis. Its exceptions never leave this module.

Under the prefix:
- `job:<id>`: a hash with the `record`'s JSON, its `rank` (how far the job has come), and while the job is
  not terminal the lease (`owner`, the worker, and `token`, its delivery), the number of `attempts` started, and
  a copy of the `message` if the gateway published it. A terminal rank without a record: the job was withdrawn;
- `worker:<name>`: there as long as the worker lives; a lease counts only while its owner's key is there;
- `waiting`, `running`: the ids of jobs whose message can be recovered, by when they are due or were taken;
  `horizon`: when the job was due that was taken last;
- channel `finished`: the id of each job that became terminal.
"""

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common import cache_scripts
from common.breaker import Away, Breaker
from common.errors import CacheUnavailable, ErrorCode, ServiceError
from common.jobs import TERMINAL, EncodedRecord, Record, Status
from common.settings import CacheSettings
from common.timeouts import answered_within

log = structlog.get_logger()

TERMINAL_RANK = 2
RANK = {Status.QUEUED: 0, Status.IN_PROGRESS: 1} | dict.fromkeys(TERMINAL, TERMINAL_RANK)

_CONNECTIONS = 16
_SLOW_BYTES_PER_S = 1_000_000

#: Seconds that a worker counts as living after its last sign of life.
WORKER_TTL_S = 15
_LIVES = b"1"

# Seconds without an announcement after which the subscription is asked whether it still lives, and by which it
# must have answered.
_SILENCE_S = 2


@dataclass(frozen=True)
class Lease:
    """A worker's claim on a job: which worker's, and a token of the one delivery that it is for."""

    worker: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)


class Claim(Enum):
    """How an attempt to take the lease of a job ended."""

    TAKEN = "taken"
    LEASED = "leased"
    FINISHED = "finished"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Taken:
    """The answer to `take`: with the record where there is one, and the number of the attempt if taken.

    `by_token` is the token of the lease that stands in the way, if it is the same worker's.
    """

    claim: Claim
    record: Record | None = None
    attempt: int = 0
    by_token: str | None = None


class Cache:
    """Records by job id, the leases of workers, and the announcements of finished jobs."""

    def __init__(self, settings: CacheSettings) -> None:
        self._prefix = settings.redis_prefix
        self._timeout_s = settings.cache_timeout_s
        # To stand in line for a connection says nothing about the server, so that is no part of a call's time.
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        # Each exchange has our own timeout. The driver's, for sockets, is a wait_for, which on Python 3.11 may
        # swallow ours in a busy loop: then a call goes on for as long as all its retries take.
        self._redis = redis.asyncio.Redis.from_pool(
            redis.asyncio.ConnectionPool.from_url(
                settings.redis_url.get_secret_value(),
                max_connections=_CONNECTIONS,
                socket_timeout=None,
                socket_connect_timeout=self._timeout_s,
                # A pooled connection that the server closed in the meantime fails once.
                retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 2),
                health_check_interval=15,
            )
        )
        # With a retry, a lost subscription would be renewed in silence, and what it missed never told.
        self._subscriber = redis.asyncio.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=None,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._breaker = Breaker("cache", (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError))
        self._run_id: str | None = None
        self._cut_off_at = -math.inf
        self._advance = self._redis.register_script(cache_scripts.ADVANCE)
        self._take = self._redis.register_script(cache_scripts.TAKE)
        self._release = self._redis.register_script(cache_scripts.RELEASE)
        self._hold = self._redis.register_script(cache_scripts.HOLD)
        self._withdraw = self._redis.register_script(cache_scripts.WITHDRAW)
        self._start_over = self._redis.register_script(cache_scripts.START_OVER)
        self._missing = self._redis.register_script(cache_scripts.MISSING)

    async def get(self, job_id: str) -> EncodedRecord | None:
        """The job's record, as it was written; raises ServiceError `job_not_found` if the job was withdrawn."""
        async with self._deadline():
            found: list[Any] = await self._redis.hmget(self._job(job_id), ["record", "rank"])
        body, rank = found
        is_terminal = rank is not None and int(rank) == TERMINAL_RANK
        if body is None and is_terminal:
            raise ServiceError(ErrorCode.JOB_NOT_FOUND)
        return None if body is None else EncodedRecord(body, is_terminal)

    async def advance(self, record: Record, ttl_s: float, *, over_nothing: bool = False) -> bool:
        """Write the record if that is a step forward, and say whether it was; a terminal one is announced.

        A queued record is written only where there is none, and so is every other one with `over_nothing`: for
        copies of what was read elsewhere, and may be out of date. The record lives for `ttl_s` seconds.
        """
        return await self._write(record, ttl_s, over_nothing=over_nothing)

    async def mark(self, queued: Record, ttl_s: float, message: bytes) -> bool:
        """Write the record of a job that is about to be published, with a copy of its message to recover it by."""
        return await self._write(queued, ttl_s, message=message)

    async def withdraw(self, job_id: str, ttl_s: float) -> bool:
        """Say whether no worker has taken the job up; then, for `ttl_s` seconds, none will."""
        async with self._deadline():
            keys = [self._job(job_id), self._waiting]
            return bool(await self._withdraw(keys=keys, args=[_milliseconds(ttl_s), job_id]))

    async def missing_messages(self, grace_s: float, most: int, *, queue_is_empty: bool) -> list[bytes]:
        """Copies of the messages that should have come to a worker `grace_s` seconds ago and have not.

        Whoever gets a copy publishes it; nobody else gets the same one within the grace time.
        """
        arguments: list[str | int] = [
            *(self._job(""), self._worker(""), _now()),
            *(_milliseconds(grace_s), int(queue_is_empty), most),
        ]
        async with self._deadline():
            found: list[bytes] = await self._missing(
                keys=[self._waiting, self._running, self._horizon], args=arguments
            )
        return found

    async def oldest_waiting_s(self) -> float:
        """How long the job that is due for longest has waited for a worker, of those that can be recovered."""
        async with self._deadline():
            first: list[Any] = await self._redis.zrange(self._waiting, 0, 0, withscores=True)
        return max(0.0, (_now() - first[0][1]) / 1000) if first else 0.0

    async def start_over(self, known: bytes, queued: Record, ttl_s: float) -> bool:
        """Write the queued record over nothing or over exactly the `known` one, and say whether it was.

        For an operator who has a failed job tried again; everybody else goes forward only, with `advance`.
        """
        arguments: list[bytes | str | int] = [known, queued.encode(), _milliseconds(ttl_s)]
        async with self._deadline():
            return bool(await self._start_over(keys=[self._job(queued.id)], args=arguments))

    async def take(
        self, job_id: str, lease: Lease, attempts_before: int, ttl_s: float, *, instead_of: str | None = None
    ) -> Taken:
        """Take the lease of a job and count the attempt, unless the job is finished or leased to another.

        Taking the same lease again changes nothing, so that it can be tried until an answer arrives. The
        number of the attempt is never below `attempts_before` + 1. If there is no record yet, the lease lives
        for `ttl_s` seconds. `instead_of` is a token of this worker's that is in its hands no more.
        """
        arguments: list[bytes | str | int] = [
            *(lease.worker, lease.token),
            *(self._worker(""), attempts_before, _milliseconds(ttl_s)),
            *(job_id, instead_of or "", _now(), _milliseconds(WORKER_TTL_S)),
        ]
        keys = [self._job(job_id), self._waiting, self._running, self._horizon]
        async with self._deadline():
            answer: list[Any] = await self._take(keys=keys, args=arguments)
        claim = Claim(answer[0].decode())
        record = Record.decode(answer[1]) if answer[1] else None
        return Taken(claim, record, answer[2], answer[3].decode() if answer[3] else None)

    async def release(self, job_id: str, lease: Lease, due_in_s: float = 0, *, attempted: bool = True) -> None:
        """Give up the lease, if it is still this one; the job should be taken again in about `due_in_s` seconds."""
        arguments: list[str | int] = [
            *(lease.worker, lease.token),
            *(job_id, _now() + round(due_in_s * 1000), int(not attempted)),
        ]
        async with self._deadline():
            await self._release(keys=[self._job(job_id), self._waiting, self._running], args=arguments)

    async def hold(self, started: Record, lease: Lease, ttl_s: float) -> bool:
        """Tell again what the cache may have forgotten: the record of a running job and the lease of it.

        Says whether the lease is this one now; another living worker's stays, and so does a terminal record.
        """
        arguments: list[bytes | str | int] = [
            *(lease.worker, lease.token, self._worker("")),
            *(started.encode(), _milliseconds(ttl_s), started.attempt),
        ]
        async with self._deadline():
            return bool(await self._hold(keys=[self._job(started.id)], args=arguments))

    async def show_life(self, owner: str) -> bool:
        """Make the worker's leases count for another WORKER_TTL_S seconds.

        Says whether the cache still has its memory: false if it was started anew or emptied since the last sign.
        """
        async with self._deadline(always=True), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(self._worker(owner), _LIVES, px=_milliseconds(WORKER_TTL_S), get=True)
            pipeline.info("server")
            known, server = await pipeline.execute()
        is_first, is_same = self._run_id is None, self._run_id == server.get("run_id")
        self._run_id = server.get("run_id")
        return is_first or (known == _LIVES and is_same)

    async def show_death(self, owner: str) -> None:
        """Make the worker's leases void at once."""
        async with self._deadline(always=True):
            await self._redis.delete(self._worker(owner))

    async def ping(self) -> None:
        """Return if the cache answers; raises CacheUnavailable."""
        async with self._deadline(always=True):
            await self._redis.ping()

    async def finished_jobs(self) -> AsyncIterator[str | None]:
        """The ids of jobs as they become terminal; None once when listening begins.

        Raises CacheUnavailable when the subscription is lost; what is announced before the next one is
        missed, so whoever waits must look for itself when it sees None.
        """
        with self._translated():
            async with self._subscriber.pubsub() as subscription:
                with self._breaker.watching(always=True):
                    async with asyncio.timeout(self._timeout_s):
                        await subscription.subscribe(self._channel)
                        while await subscription.get_message(timeout=self._timeout_s) is None:
                            pass
                yield None
                pinged = False
                while True:
                    message = await subscription.get_message(timeout=_SILENCE_S)
                    if message is None:
                        if pinged:
                            raise TimeoutError
                        async with asyncio.timeout(self._timeout_s):
                            await subscription.ping()
                        pinged = True
                        continue
                    pinged = False
                    if message["type"] == "message":
                        yield message["data"].decode()

    def was_cut_off_within(self, seconds: float) -> bool:
        """Whether a connection broke so lately, the subscription's too: the cache may know less since then."""
        return time.monotonic() - self._cut_off_at < seconds

    async def aclose(self) -> None:
        """Close all connections."""
        await self._subscriber.aclose()
        await self._redis.aclose()

    async def _write(self, record: Record, ttl_s: float, *, over_nothing: bool = False, message: bytes = b"") -> bool:
        arguments: list[bytes | str | int] = [
            *(RANK[record.status], record.encode(), _milliseconds(ttl_s)),
            *(self._channel, record.id, int(over_nothing), message, _now()),
        ]
        async with self._deadline(size=sum(len(part) for part in arguments if isinstance(part, bytes))):
            return bool(
                await self._advance(keys=[self._job(record.id), self._waiting, self._running], args=arguments)
            )

    def _job(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"

    def _worker(self, owner: str) -> str:
        return f"{self._prefix}worker:{owner}"

    @property
    def _waiting(self) -> str:
        return f"{self._prefix}waiting"

    @property
    def _running(self) -> str:
        return f"{self._prefix}running"

    @property
    def _horizon(self) -> str:
        return f"{self._prefix}horizon"

    @property
    def _channel(self) -> str:
        return f"{self._prefix}finished"

    @asynccontextmanager
    async def _deadline(self, *, always: bool = False, size: int = 0) -> AsyncIterator[None]:
        """One exchange with the server. It is made `always` where nobody waits for it who could do without.

        It may last longer by what `size` bytes take on a slow network.
        """
        async with self._turns:
            with self._translated(), self._breaker.watching(always=always):
                async with answered_within(self._timeout_s + size / _SLOW_BYTES_PER_S):
                    yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DataError:
            # Ours, not the server's: trying again would not help.
            raise
        except (RedisTimeoutError, TimeoutError, Away) as error:
            raise CacheUnavailable from error
        except (RedisError, OSError) as error:
            if isinstance(error, RedisConnectionError | OSError):
                self._cut_off_at = time.monotonic()
            raise CacheUnavailable from error


def _now() -> int:
    return round(time.time() * 1000)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
