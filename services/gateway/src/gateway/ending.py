"""Ends jobs at the wish of their clients: cancels them, or deletes what there is of them."""

import asyncio
import time

import structlog

from common import messages, metrics
from common.broker import Broker
from common.cache import Answer, Cache, Cancelled
from common.errors import BrokerUnavailable, ErrorCode, ServiceError, StoreUnavailable
from common.ids import JobIds
from common.jobs import DEADLINE_MARGIN_S, EncodedRecord, Record, Status
from common.lookup import Lookup
from common.messages import Message
from common.store import Store
from gateway.settings import GatewaySettings

log = structlog.get_logger()

#: Seconds for which a client that cancels waits for the worker's word that it is done.
PATIENCE_S = 2.0
#: Seconds between two looks: the first pause, and the longest; each is twice as long as the one before.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.2
#: Seconds after which a worker tries to bring a record to the store that was away.
KEEP_S = 2.0
#: Seconds for which the store remembers that a job was deleted: as long as its message may lie among dead letters.
REMEMBERED_S = 30 * 86_400


class Ending:
    """Who may end a job is settled in docs/adr/0021-who-may-end-a-job.md."""

    def __init__(
        self, settings: GatewaySettings, ids: JobIds, lookup: Lookup, broker: Broker, cache: Cache, store: Store
    ) -> None:
        self._settings = settings
        self._ids = ids
        self._lookup = lookup
        self._broker = broker
        self._cache = cache
        self._store = store
        metrics.finished(Status.CANCELLED, ErrorCode.CANCELLED)  # counted from 0
        metrics.answer_seconds(Status.CANCELLED)

    async def cancel(self, job_id: str, client: str) -> EncodedRecord:
        """The job's record when it has ended, or after two seconds as it is then: its worker is slow, or away.

        Raises what the look-up raises, and CacheUnavailable.
        """
        ends_at = time.monotonic() + PATIENCE_S
        pause_s = FIRST_PAUSE_S
        found = await self._lookup.find(job_id, client)
        while not found.is_terminal:
            # Each time anew: meanwhile the worker may have let go of the job, to try again later.
            told = await self._ask(found)
            if told.record is not None and told.record.is_terminal:
                return told.record
            if time.monotonic() >= ends_at:
                break
            if told.answer is Answer.ASKED:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            found = await self._lookup.find(job_id, client)
        return found

    async def delete(self, job_id: str, client: str) -> None:
        """Leave nothing of the job but that it was deleted; once more does no harm.

        Raises `job_not_found`, CacheUnavailable, StoreUnavailable: then it is to be tried again.
        """
        if self._ids.minted_at(job_id, client) is None:
            await self._must_have_been(job_id, client)
        # The cache first, which also tells the worker: what that saves meanwhile is erased from the store then.
        await self._cache.cancels.erase(job_id, self._longest_life_s)
        await self._store.erase(job_id, time.time() + max(REMEMBERED_S, self._longest_life_s))
        log.info("job_deleted", job_id=job_id)

    @property
    def _longest_life_s(self) -> float:
        """For how long anything may be known of a job that was accepted just now, and its message be on its way."""
        settings = self._settings
        return settings.job_deadline_s + 2 * DEADLINE_MARGIN_S + settings.result_store_ttl_s

    async def _must_have_been(self, job_id: str, client: str) -> None:
        try:
            await self._lookup.find(job_id, client)
        except ServiceError as error:
            if error.code not in (ErrorCode.JOB_DELETED, ErrorCode.JOB_EXPIRED):
                raise

    async def _ask(self, found: EncodedRecord) -> Cancelled:
        """The cache's answer to the wish."""
        # The look-up has put in what was written so far; the record is without.
        text_so_far = Record.decode(found.body).output_text if found.is_running else None
        told = await self._replace(found.body, text_so_far)
        if told.answer is Answer.CHANGED and told.record is not None:
            told = await self._replace(told.record.body, text_so_far)
        return told

    async def _replace(self, body: bytes, text_so_far: str | None) -> Cancelled:
        """Have the job cancelled if that is its record, and nobody has it in hand."""
        known, now = Record.decode(body), time.time()
        # Not shorter than the job itself: its message may come to a worker until then.
        ttl_s = max(self._settings.result_store_ttl_s, known.expires_at - now)
        cancelled = known.cancelled(text_so_far, ttl_s)
        told = await self._cache.cancels.cancel(body, cancelled)
        if told.answer is Answer.CANCELLED:
            metrics.finished(Status.CANCELLED, ErrorCode.CANCELLED).inc()
            metrics.answer_seconds(Status.CANCELLED).observe(max(0.0, now - known.created_at))
            await self._keep(cancelled)
        return told

    async def _keep(self, cancelled: Record) -> None:
        """Let the store know too; while it is away the broker keeps the record for it, as it does for workers."""
        try:
            await self._store.save(cancelled, self._settings.known_by_id_until(cancelled))
        except StoreUnavailable:
            try:
                await self._broker.publish_later(messages.keeping(cancelled, Message(b"")), KEEP_S)
            except BrokerUnavailable:
                # The worker that the job's own message comes to will tell the store.
                log.warning("cancelled_job_not_in_store", job_id=cancelled.id)
