"""Tells that a job runs: first the store, then the cache, so that what a poll has seen is never forgotten."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.cache import Cache
from common.errors import StoreUnavailable
from common.jobs import Record
from common.store import Store
from gpt_worker.keep_trying import keep_trying
from gpt_worker.settings import WorkerSettings


class Beginning:
    """Writes the record of a running job."""

    def __init__(self, settings: WorkerSettings, cache: Cache, store: Store) -> None:
        self._settings = settings
        self._cache = cache
        self._store = store

    @asynccontextmanager
    async def of(self, started: Record) -> AsyncIterator[bool]:
        """Whether the job runs now; false if it is terminal already, which the cache may have forgotten.

        The work does not wait for a store that is away: that is told as soon as it is back, within the block.
        """
        telling: asyncio.Task[bool] | None = None
        runs = True
        try:
            runs = await self._tell_store(started)
        except StoreUnavailable:
            telling = asyncio.create_task(keep_trying(lambda: self._tell_store(started)))
        try:
            yield runs and await self._tell_cache(started)
        finally:
            if telling is not None:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    async def _tell_store(self, started: Record) -> bool:
        return await self._store.begin(started, keep_until=self._settings.known_by_id_until(started))

    async def _tell_cache(self, started: Record) -> bool:
        return await keep_trying(lambda: self._cache.advance(started, started.expires_at - time.time()))
