"""Keeps terminal records: in the store and the cache; while the store is away, in the cache and the broker."""

import time
from dataclasses import dataclass

import structlog

from common import messages, metrics
from common.broker import Broker
from common.cache import Cache
from common.errors import CacheUnavailable, ErrorCode, JobDeleted, StoreUnavailable
from common.jobs import Record, Status
from common.messages import Message
from common.store import Store
from common.turns import Turn
from gpt_worker import failures, retries
from gpt_worker.in_hand import InHand
from gpt_worker.keep_trying import keep_trying
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()

#: Seconds between two tries to bring what was kept into the store: the first, and the longest, pause.
FIRST_PAUSE_S = 2
LONGEST_PAUSE_S = 20

#: The codes that a failed job can have.
JOB_ERRORS = {
    *(row.code for row in failures.CLASSES.values()),
    *(ErrorCode.PARENT_NOT_FOUND, ErrorCode.PARENT_NOT_FINISHED),
    *(ErrorCode.DEADLINE_EXCEEDED, ErrorCode.INVALID_MESSAGE, ErrorCode.ATTEMPTS_EXHAUSTED, ErrorCode.INTERNAL),
}


@dataclass(frozen=True)
class Saved:
    """The record that counts, and whether it is where it belongs or has still to be brought there."""

    record: Record
    is_in_store: bool


class Saving:
    """Keeps terminal records, none of them only in this worker's memory when it returns."""

    def __init__(self, settings: WorkerSettings, in_hand: InHand, broker: Broker, cache: Cache, store: Store) -> None:
        self._settings = settings
        self._in_hand = in_hand
        self._broker = broker
        self._cache = cache
        self._store = store
        self._is_ending = False
        # New records that are in this worker's memory and nowhere else.
        self._only_here: set[str] = set()
        _count_from_0()

    @property
    def has_kept_everything(self) -> bool:
        """Whether no answer ends with this worker."""
        return not self._only_here

    def end(self) -> None:
        """From now on the broker alone is enough: this worker ends, and the answer must not end with it."""
        self._is_ending = True

    async def save(
        self, record: Record, *, is_new: bool, begun_at: float | None = None, turn: Turn | None = None
    ) -> Saved:
        """Store, then cache; the record that counts is the first one that was ever kept.

        A new record can be read for RESULT_STORE_TTL_S seconds from now. Every try is with the same bytes: a store
        that stood still may yet carry out one that was given up, after clients have read another.
        While the store is away the cache is enough, and the caller has to `keep_for_later`; while both are away
        this does not return. Raises JobDeleted: then there is nothing to keep.
        """
        lasting = record.lasting(self._settings.result_store_ttl_s) if is_new else record

        async def save() -> Saved:
            try:
                saved = await self._store.save(lasting, self._settings.known_by_id_until(record), turn)
            except StoreUnavailable:
                if not (self._store.is_away or self._is_ending):
                    # Slow only: should the cache be slow too, a poll would be told what the store knows.
                    raise
                return await self._save_without_store(lasting)
            self._only_here.discard(record.id)
            return Saved(saved, is_in_store=True)

        if is_new:
            self._only_here.add(record.id)
        try:
            saved = await keep_trying(save)
        except JobDeleted:
            self._only_here.discard(record.id)
            await self.erase(record)
            raise
        if saved.is_in_store:
            await self._cache_it(saved.record)
        self._in_hand.finished(saved.record)
        if is_new and saved.record.completed_at == record.completed_at:
            _count(saved.record, begun_at or saved.record.created_at)
        return saved

    async def erase(self, record: Record) -> None:
        """Leave nothing of a deleted job in the cache, where its attempt may have written since it was deleted."""
        ttl_s = self._settings.known_by_id_until(record) - time.time() + self._settings.result_store_ttl_s
        await keep_trying(lambda: self._cache.cancels.erase(record.id, ttl_s, record.attempt))

    async def keep_for_later(self, record: Record, message: Message, turn: Turn | None) -> None:
        """Give the broker what the store could not take; it comes back until it is saved."""
        kept = messages.keeping(record, message, turn)
        tries = kept.headers[messages.UNSAVED_HEADER]
        delay_s = retries.delay_s(int(tries or 1), None, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        await keep_trying(lambda: self._broker.publish_later(kept, delay_s))
        self._only_here.discard(record.id)
        log.warning("record_kept_for_the_store")

    async def _save_without_store(self, record: Record) -> Saved:
        """Let clients read the record from the cache for as long as it may be read at all."""
        try:
            await self._cache.advance(record, record.expires_at - time.time())
            cached = await self._cache.get(record.id)
        except CacheUnavailable:
            if not self._is_ending:
                raise
            return Saved(record, is_in_store=False)
        self._only_here.discard(record.id)
        # Another one that is there already was read already.
        counts = Record.decode(cached.body) if cached is not None and cached.is_terminal else record
        return Saved(counts, is_in_store=False)

    async def _cache_it(self, record: Record) -> None:
        left_s = record.expires_at - time.time()
        if left_s > 0:
            ttl_s = min(self._settings.result_cache_ttl_s, left_s)
            await keep_trying(lambda: self._cache.advance(record, ttl_s))


def _count_from_0() -> None:
    metrics.finished(Status.COMPLETED, "")
    for code in JOB_ERRORS:
        metrics.finished(Status.FAILED, code)
    metrics.finished(Status.CANCELLED, ErrorCode.CANCELLED)
    for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED):
        metrics.answer_seconds(status)


def _count(record: Record, begun_at: float) -> None:
    """Count a job that is terminal, and how long its client has waited, through every attempt."""
    metrics.finished(record.status, record.error.code if record.error else "").inc()
    metrics.answer_seconds(record.status).observe(max(0.0, time.time() - begun_at))
