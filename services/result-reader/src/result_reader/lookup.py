"""Finds the truth about a job: by its id alone where that is enough, then the cache, then the store."""

import time

import structlog

from common import metrics
from common.cache import Cache
from common.errors import CacheUnavailable, ErrorCode, ServiceError
from common.ids import JobIds, is_foreign
from common.jobs import EncodedRecord, Record
from common.store import Store
from result_reader.settings import ReaderSettings

log = structlog.get_logger()


class Lookup:
    """Answers with a record's JSON, or raises the error that is the truth about the id."""

    def __init__(self, settings: ReaderSettings, ids: JobIds, cache: Cache, store: Store) -> None:
        self._ids = ids
        self._cache = cache
        self._store = store
        self._foreign_ids = settings.foreign_ids
        self._longest_deadline_s = settings.job_deadline_s
        self._cache_ttl_s = settings.result_cache_ttl_s

    async def find(self, job_id: str, client: str) -> EncodedRecord:
        """The record's JSON.

        Raises ServiceError: `job_not_found`, `job_expired`, or `store_unavailable` if it cannot be known.
        """
        minted_at = self._ids.minted_at(job_id, client)
        if minted_at is None and not (self._foreign_ids and is_foreign(job_id)):
            metrics.LOOKUPS.labels("none").inc()
            raise ServiceError(ErrorCode.JOB_NOT_FOUND)
        cached = await self._from_cache(job_id)
        if cached is not None:
            metrics.LOOKUPS.labels("cache").inc()
            return cached
        stored = await self._from_store(job_id)
        if stored is not None:
            metrics.LOOKUPS.labels("store").inc()
            return stored
        metrics.LOOKUPS.labels("none").inc()
        return await self._by_id_alone(job_id, minted_at)

    async def _from_cache(self, job_id: str) -> EncodedRecord | None:
        try:
            return await self._cache.get(job_id)
        except CacheUnavailable:
            log.warning("cache_passed_over", job_id=job_id)
            return None

    async def _from_store(self, job_id: str) -> EncodedRecord | None:
        """The record from the store, which goes back into the cache for the time that it has left."""
        record = await self._store.find(job_id)
        if record is None:
            return None
        left_s = record.expires_at - time.time()
        if left_s <= 0:
            metrics.LOOKUPS.labels("store").inc()
            raise ServiceError(ErrorCode.JOB_EXPIRED)
        await self._refill(record, min(left_s, self._cache_ttl_s))
        return record.encoded()

    async def _by_id_alone(self, job_id: str, minted_at: float | None) -> EncodedRecord:
        """What is to be said of a job that neither the cache nor the store knows."""
        if minted_at is None:
            raise ServiceError(ErrorCode.JOB_NOT_FOUND)
        record = Record.queued(job_id, minted_at, minted_at + self._longest_deadline_s)
        left_s = record.expires_at - time.time()
        if left_s <= 0:
            raise ServiceError(ErrorCode.JOB_EXPIRED)
        # So that the next poll of a job that waits does not reach the store again.
        await self._refill(record, left_s)
        return record.encoded()

    async def _refill(self, record: Record, ttl_s: float) -> None:
        try:
            await self._cache.advance(record, ttl_s)
        except CacheUnavailable:
            log.warning("cache_not_refilled", job_id=record.id)
