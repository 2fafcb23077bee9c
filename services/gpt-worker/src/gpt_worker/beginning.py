"""Tells that a job runs: first the store, then the cache, so that what a poll has seen is never forgotten."""

import asyncio
import time

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

    def of(self, started: Record) -> "Begun":
        """Around the work: the block is told whether the job runs now."""
        return Begun(self, started)

    async def tell_store(self, started: Record) -> bool:
        return await self._store.begin(started, keep_until=self._settings.known_by_id_until(started))

    async def tell_cache(self, started: Record) -> bool:
        return await keep_trying(lambda: self._cache.advance(started, started.expires_at - time.time()))


class Begun:
    """Whether the job runs now; false if it is terminal already, which the cache may have forgotten.

    The work does not wait for a store that is away: that is told as soon as it is back, within the block.
    """

    __slots__ = ("_beginning", "_started", "_telling")

    def __init__(self, beginning: Beginning, started: Record) -> None:
        self._beginning = beginning
        self._started = started
        self._telling: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> bool:
        beginning, started = self._beginning, self._started
        runs = True
        try:
            runs = await beginning.tell_store(started)
        except StoreUnavailable:
            self._telling = asyncio.create_task(keep_trying(lambda: beginning.tell_store(started)))
        try:
            return runs and await beginning.tell_cache(started)
        except BaseException:
            await self._end()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
