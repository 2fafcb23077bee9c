"""Finds the truth about a job: by its id alone where that is enough, then the cache, then the store."""

import math
import time
from contextlib import suppress

import structlog

from common import metrics
from common.cache import Cache
from common.errors import CacheUnavailable, ErrorCode, ServiceError, StoreUnavailable
from common.ids import JobIds, is_foreign
from common.jobs import EncodedRecord, Record
from common.settings import CacheSettings, DeadlineSettings, PublicHttpSettings, StoreSettings
from common.store import Store

log = structlog.get_logger()

#: Seconds after the cache was away in which it may be behind the store, which workers have written to meanwhile.
BEHIND_S = 60


class LookupSettings(PublicHttpSettings, CacheSettings, StoreSettings, DeadlineSettings):
    """What a service is told that answers about jobs."""


class Lookup:
    """Answers with a record's JSON, or raises the error that is the truth about the id."""

    def __init__(self, settings: LookupSettings, ids: JobIds, cache: Cache, store: Store) -> None:
        self._ids = ids
        self._cache = cache
        self._store = store
        self._foreign_ids = settings.foreign_ids
        self._longest_deadline_s = settings.job_deadline_s
        self._cache_ttl_s = settings.result_cache_ttl_s
        self._passed_over_at = -math.inf
        for answered_by in ("cache", "store", "none"):
            metrics.lookups(answered_by)  # counted from 0
        self._from_cache = metrics.lookups("cache").inc

    async def find(self, job_id: str, client: str) -> EncodedRecord:
        """The record's JSON.

        Raises ServiceError: `job_not_found`, `job_expired`, or if it cannot be known `store_unavailable` or
        `cache_unavailable`.
        """
        minted_at = self._ids.minted_at(job_id, client)
        if minted_at is None and not (self._foreign_ids and is_foreign(job_id)):
            metrics.lookups("none").inc()
            raise ServiceError(ErrorCode.JOB_NOT_FOUND)
        try:
            cached = await self._cache.get(job_id)
        except CacheUnavailable as unavailable:
            log.debug("cache_passed_over", job_id=job_id)
            self._passed_over_at = time.monotonic()
            # What seems to be gone may be one that only the cache knows.
            return (await self._beyond_the_cache(job_id, minted_at, unavailable)).encoded()
        if cached is not None:
            self._from_cache()
            if cached.is_terminal or not (cached.is_running or self.may_be_behind):
                return cached
            return await self._not_behind(job_id, cached)
        return await self._with_text(await self._refill(await self._beyond_the_cache(job_id, minted_at)))

    @property
    def may_be_behind(self) -> bool:
        """Whether what is found now may be less than what was found a minute ago, since the cache was away."""
        was_passed_over = time.monotonic() - self._passed_over_at < BEHIND_S
        return was_passed_over or self._cache.was_cut_off_within(BEHIND_S)

    async def _not_behind(self, job_id: str, cached: EncodedRecord) -> EncodedRecord:
        """The job's end if the store knows it and the cache may not, which a poll may have told meanwhile."""
        if not self.may_be_behind:
            return await self._with_text(cached)
        with suppress(StoreUnavailable):
            record = await self._store.find(job_id)
            if record is not None and record.is_terminal and record.expires_at > time.time():
                return record.encoded()
        return await self._with_text(cached)

    async def _with_text(self, found: EncodedRecord) -> EncodedRecord:
        """The record; that of a running job with what its attempt has written so far."""
        if not found.is_running:
            return found
        record = Record.decode(found.body)
        try:
            text = await self._cache.texts.read(record.id, record.attempt)
            # The job may have ended between the two reads, and its text with it.
            now = found if text else await self._cache.get(record.id)
        except CacheUnavailable:
            self._passed_over_at = time.monotonic()
            return found
        if text:
            return record.model_copy(update={"output_text": text}).encoded()
        return now if now is not None and now.is_terminal else found

    async def _beyond_the_cache(
        self, job_id: str, minted_at: float | None, rather_than_gone: ServiceError | None = None
    ) -> Record:
        """What the store knows of the job, else what its id alone says: if we minted it, it was accepted and waits.

        Raises `rather_than_gone` instead of saying that the job has expired or never was.
        """
        record = await self._store.find(job_id)
        metrics.lookups("none" if record is None else "store").inc()
        now = time.time()
        if record is not None and record.expires_at > now:
            return record
        by_id = self._queued(job_id, minted_at)
        is_old = by_id is not None and by_id.expires_at <= now
        if record is not None and not record.is_terminal and not is_old:
            # It should have ended by now and has not: it may yet be told that its deadline has passed.
            return record
        if record is None and by_id is not None and not is_old:
            return by_id
        never_was = record is None and minted_at is None
        raise rather_than_gone or ServiceError(ErrorCode.JOB_NOT_FOUND if never_was else ErrorCode.JOB_EXPIRED)

    def _queued(self, job_id: str, minted_at: float | None) -> Record | None:
        """The record of a job that waits, as far as its id tells."""
        if minted_at is None:
            return None
        return Record.queued(job_id, minted_at, minted_at + self._longest_deadline_s)

    async def _refill(self, record: Record) -> EncodedRecord:
        """Put the record into the cache, to spare the store the next poll; returns the one that counts."""
        left_s = record.expires_at - time.time()
        if left_s <= 0:
            return record.encoded()
        try:
            ttl_s = min(left_s, self._cache_ttl_s) if record.is_terminal else left_s
            # Over nothing only: what the store knew may be a failure that has begun anew meanwhile.
            if not await self._cache.advance(record, ttl_s, over_nothing=True):
                cached = await self._cache.get(record.id)
                # A worker may just have told an emptied cache that the job runs, and have it ended all the same.
                if cached is not None and (cached.is_terminal or not record.is_terminal):
                    return cached
        except CacheUnavailable:
            log.debug("cache_not_refilled", job_id=record.id)
        return record.encoded()
