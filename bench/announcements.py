"""When which job became terminal: what workers announce once an answer lies in MongoDB and in Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

from common.cache import Cache
from common.settings import CacheSettings
from stack.places import Place


class Announcements:
    """Notes the moment of each on the clock that all processes of the machine share."""

    def __init__(self) -> None:
        #: time.monotonic(), by job.
        self.at: dict[str, float] = {}
        self._changed = asyncio.Condition()

    @classmethod
    @asynccontextmanager
    async def heard(cls, place: Place) -> AsyncIterator[Self]:
        """Those that are made from now on."""
        heard = cls()
        listens = asyncio.Event()
        environment = place.environment
        cache = Cache(
            CacheSettings.model_validate(
                {"redis_url": environment["REDIS_URL"], "redis_prefix": environment["REDIS_PREFIX"]}
            )
        )
        listener = asyncio.create_task(heard._listen(cache, listens))
        try:
            await listens.wait()
            yield heard
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            await cache.aclose()

    async def until(self, condition: Callable[[Self], bool], timeout_s: float) -> None:
        """As in `until(lambda heard: len(heard.at) == 3)`."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def _listen(self, cache: Cache, listens: asyncio.Event) -> None:
        async for job_id in cache.finished_jobs():
            listens.set()
            if job_id is None:
                continue
            self.at[job_id] = time.monotonic()
            async with self._changed:
                self._changed.notify_all()
