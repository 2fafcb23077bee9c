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

        Raises ServiceError: `job_not_found`, `job_expired`, or if it cannot be known `store_unavailable` or
        `cache_unavailable`.
        """
        minted_at = self._ids.minted_at(job_id, client)
        if minted_at is None and not (self._foreign_ids and is_foreign(job_id)):
            metrics.LOOKUPS.labels("none").inc()
            raise ServiceError(ErrorCode.JOB_NOT_FOUND)
        try:
            cached = await self._cache.get(job_id)
        except CacheUnavailable as unavailable:
            log.warning("cache_passed_over", job_id=job_id)
            # A foreign id that the store does not know may be one that only the cache knows.
            record = await self._from_store(job_id) or self._by_id_alone(job_id, minted_at, unavailable)
            return record.encoded()
        if cached is not None:
            metrics.LOOKUPS.labels("cache").inc()
            return cached
        unknown = ServiceError(ErrorCode.JOB_NOT_FOUND)
        record = await self._from_store(job_id) or self._by_id_alone(job_id, minted_at, unknown)
        await self._refill(record)
        return record.encoded()

    async def _from_store(self, job_id: str) -> Record | None:
        record = await self._store.find(job_id)
        if record is None:
            return None
        metrics.LOOKUPS.labels("store").inc()
        if record.expires_at <= time.time():
            raise ServiceError(ErrorCode.JOB_EXPIRED)
        return record

    def _by_id_alone(self, job_id: str, minted_at: float | None, otherwise: ServiceError) -> Record:
        """What is to be said of a job that has no record: if we minted its id, it was accepted and waits."""
        metrics.LOOKUPS.labels("none").inc()
        if minted_at is None:
            raise otherwise
        record = Record.queued(job_id, minted_at, minted_at + self._longest_deadline_s)
        if record.expires_at <= time.time():
            raise ServiceError(ErrorCode.JOB_EXPIRED)
        return record

    async def _refill(self, record: Record) -> None:
        """Put the record into the cache, so that the next poll does not reach the store."""
        left_s = record.expires_at - time.time()
        try:
            ttl_s = min(left_s, self._cache_ttl_s) if record.is_terminal else left_s
            # Over nothing only: what the store knew may be a failure that has begun anew meanwhile.
            await self._cache.advance(record, ttl_s, over_nothing=True)
        except CacheUnavailable:
            log.warning("cache_not_refilled", job_id=record.id)
