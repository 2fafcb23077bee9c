"""Holds requests until their job is terminal: one subscription to the cache for all of them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import islice

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


class Waiting:
    """Who waits for which job."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        # The same events, those first that have not been set for the longest time.
        self._in_turn: dict[asyncio.Event, None] = {}
        self._deaf_since: float | None = None
        self._stopped = False
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
        with self._registered(job_id) as event, metrics.HELD_POLLS.track_inprogress():
            # Registered before looking: an announcement in between must not be missed.
            found = await look()
            ends_at = asyncio.get_running_loop().time() + timeout_s
            is_last = self._stopped
            while not (found.is_terminal or is_last):
                is_last = not await _set_before(event, ends_at) or self._stopped
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
        self._stopped = True
        self._wake_all()

    @contextmanager
    def _registered(self, job_id: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._events[job_id].add(event)
        self._in_turn[event] = None
        try:
            yield event
        finally:
            del self._in_turn[event]
            self._events[job_id].discard(event)
            if not self._events[job_id]:
                del self._events[job_id]

    def _wake(self, job_id: str) -> None:
        for event in self._events.get(job_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for event in self._in_turn:
            event.set()

    def _wake_some(self) -> None:
        for event in list(islice(self._in_turn, LOOKS_AT_ONCE)):
            event.set()
            del self._in_turn[event]
            self._in_turn[event] = None

    async def _ask_whether_deaf(self) -> None:
        try:
            await self._cache.ping()
        except CacheUnavailable:
            self._deaf_since = None
        else:
            self._deaf_since = self._deaf_since or time.monotonic()


async def _set_before(event: asyncio.Event, moment: float) -> bool:
    """Wait for the event; false if it is not set by then, in the event loop's time."""
    try:
        async with asyncio.timeout_at(moment):
            return await event.wait()
    except TimeoutError:
        return False
