"""Holds requests until their job is terminal: one subscription to the cache for all of them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

import structlog

from common import metrics
from common.cache import Cache
from common.errors import CacheUnavailable, StoreUnavailable
from common.jobs import EncodedRecord

log = structlog.get_logger()

RESUBSCRIBE_S = 1
#: While nothing is announced, how many held requests look again at each try to listen, so that the store is spared.
LOOKS_AT_ONCE = 50
#: Seconds of trying in vain to listen to a cache that answers, after which only another process may help.
DEAF_S = 60


class Waker(Protocol):
    """What is set to wake one who waits."""

    def set(self) -> None:
        """The job has ended, or may have: it is to be looked up."""


class Waiting:
    """Who waits for which job."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._wakers: defaultdict[str, set[Waker]] = defaultdict(set)
        # The same ones, those first that have not been set for the longest time.
        self._in_turn: dict[Waker, None] = {}
        self._deaf_since: float | None = None
        self.is_stopped = False
        metrics.WATCHDOG.labels("subscription")  # counted from 0

    async def listen(self) -> None:
        """Wake those whose job is announced, for ever; all of them whenever an announcement may be missed."""
        is_first = True
        while True:
            try:
                async for job_id in self._cache.finished_jobs():
                    if job_id is not None:
                        self._wake(job_id)
                        continue
                    if not is_first:
                        metrics.WATCHDOG.labels("subscription").inc()
                    is_first = False
                    self._deaf_since = None
                    self._wake_all()
            except CacheUnavailable:
                log.warning("announcements_lost")
            self._wake_some()
            await self._ask_whether_deaf()
            await asyncio.sleep(RESUBSCRIBE_S)

    def is_well(self) -> bool:
        """False if the cache has been answering for long and yet cannot be listened to."""
        return self._deaf_since is None or time.monotonic() - self._deaf_since < DEAF_S

    async def until_terminal(
        self, job_id: str, timeout_s: float, look: Callable[[], Awaitable[EncodedRecord]]
    ) -> EncodedRecord:
        """What `look` finds when the job is terminal, or when `timeout_s` seconds are over."""
        event = asyncio.Event()
        with self.registered(job_id, event), metrics.HELD_POLLS.track_inprogress():
            # Registered before looking: an announcement in between must not be missed.
            found = await look()
            ends_at = asyncio.get_running_loop().time() + timeout_s
            is_last = self.is_stopped
            while not (found.is_terminal or is_last):
                is_last = not await set_before(event, ends_at) or self.is_stopped
                event.clear()
                try:
                    found = await look()
                except (CacheUnavailable, StoreUnavailable):
                    # Not knowing is an answer only at the end.
                    if is_last:
                        raise
            return found

    def stop(self) -> None:
        """Answer every held request with what is known now."""
        self.is_stopped = True
        self._wake_all()

    @contextmanager
    def registered(self, job_id: str, waker: Waker) -> Iterator[None]:
        """Within the block the waker is set whenever the job has ended, or an announcement may be missed."""
        self._wakers[job_id].add(waker)
        self._in_turn[waker] = None
        try:
            yield
        finally:
            del self._in_turn[waker]
            self._wakers[job_id].discard(waker)
            if not self._wakers[job_id]:
                del self._wakers[job_id]

    def _wake(self, job_id: str) -> None:
        for waker in self._wakers.get(job_id, ()):
            waker.set()

    def _wake_all(self) -> None:
        for waker in self._in_turn:
            waker.set()

    def _wake_some(self) -> None:
        for waker in list(islice(self._in_turn, LOOKS_AT_ONCE)):
            waker.set()
            del self._in_turn[waker]
            self._in_turn[waker] = None

    async def _ask_whether_deaf(self) -> None:
        try:
            await self._cache.ping()
        except CacheUnavailable:
            self._deaf_since = None
        else:
            self._deaf_since = self._deaf_since or time.monotonic()


async def set_before(event: asyncio.Event, moment: float) -> bool:
    """Wait for the event; false if it is not set by then, in the event loop's time."""
    try:
        async with asyncio.timeout_at(moment):
            return await event.wait()
    except TimeoutError:
        return False
