"""Holds requests until their job is terminal: one subscription to the cache for all of them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from common import metrics
from common.cache import Cache
from common.errors import CacheUnavailable
from common.jobs import EncodedRecord

log = structlog.get_logger()

RESUBSCRIBE_S = 1


class Waiting:
    """Who waits for which job."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._stopped = False

    async def listen(self) -> None:
        """Wake those whose job is announced, for ever; all of them whenever an announcement may be missed."""
        while True:
            try:
                async for job_id in self._cache.finished_jobs():
                    if job_id is None:
                        self._wake_all()
                    else:
                        self._wake(job_id)
            except CacheUnavailable:
                log.warning("announcements_lost")
            await asyncio.sleep(RESUBSCRIBE_S)

    async def until_terminal(
        self, job_id: str, timeout_s: float, look: Callable[[], Awaitable[EncodedRecord]]
    ) -> EncodedRecord:
        """What `look` finds when the job is terminal, or when `timeout_s` seconds are over."""
        with self._registered(job_id) as event, metrics.HELD_POLLS.track_inprogress():
            # Registered before looking: an announcement in between must not be missed.
            found = await look()
            try:
                async with asyncio.timeout(timeout_s):
                    while not (found.is_terminal or self._stopped):
                        await event.wait()
                        event.clear()
                        found = await look()
            except TimeoutError:
                pass
            return found

    def stop(self) -> None:
        """Answer every held request with what is known now."""
        self._stopped = True
        self._wake_all()

    @contextmanager
    def _registered(self, job_id: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._events[job_id].add(event)
        try:
            yield event
        finally:
            self._events[job_id].discard(event)
            if not self._events[job_id]:
                del self._events[job_id]

    def _wake(self, job_id: str) -> None:
        for event in self._events.get(job_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for job_id in self._events:
            self._wake(job_id)
