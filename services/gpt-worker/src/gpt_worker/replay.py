"""Gives a dead letter another life: its failure is forgotten, its message published again, and only then taken out.

A crash in between may leave the message in both queues, and a job that reads `queued` while its message is still
a dead letter: replaying it once more mends either.
"""

import time
from enum import StrEnum

from common import messages
from common.broker import Inspection
from common.cache import Cache
from common.errors import JobDeleted
from common.jobs import Record, Status
from common.settings import BrokerSettings, CacheSettings, DeadlineSettings, StoreSettings
from common.store import Store
from gpt_worker.dead_letters import DeadLetter, for_replay


class ReplaySettings(BrokerSettings, CacheSettings, StoreSettings, DeadlineSettings):
    """What a replay takes from the worker's environment."""


class Verdict(StrEnum):
    """What became of a dead letter that was to be replayed, in words for the operator."""

    REPLAYED = "replayed"
    FINISHED = "left: the job has its answer by now"
    CHANGED = "left: the job changed at the same moment"
    DELETED = "removed: the job was deleted"
    UNSAVED = "left: its failure has not come to the store yet; replay it in half a minute"


class Replay:
    """Replays dead letters of one inspection."""

    def __init__(self, settings: ReplaySettings, inspection: Inspection, cache: Cache, store: Store) -> None:
        self._deadline_s = settings.job_deadline_s
        self._inspection = inspection
        self._cache = cache
        self._store = store

    async def replay(self, letter: DeadLetter) -> Verdict:
        """Put the message back onto the job queue, unless its job has an answer or was deleted."""
        now = time.time()
        if letter.job_id is not None:
            try:
                verdict = await self._begin_again(letter.job_id, letter, now)
            except JobDeleted:
                await self._inspection.take_out(letter.delivery)
                return Verdict.DELETED
            if verdict is not Verdict.REPLAYED:
                return verdict
        await self._inspection.publish_job(for_replay(letter.message, now))
        await self._inspection.take_out(letter.delivery)
        return Verdict.REPLAYED

    async def _begin_again(self, job_id: str, letter: DeadLetter, now: float) -> Verdict:
        """Let the job's record be `queued`, so that a poll says so and a worker finds no old failure.

        The cache is first: as long as it has a record, no poll asks the store, and so none hears of a job
        that is gone.
        """
        cached = await self._cache.get(job_id)
        stored = await self._store.find(job_id)
        current = Record.decode(cached.body) if cached else stored
        if any(_is_answered(record, now) for record in (current, stored)):
            return Verdict.FINISHED
        if cached is not None and cached.is_terminal and (stored is None or not stored.is_terminal):
            # The broker still keeps the failure for the store, where it would end the new life too.
            return Verdict.UNSAVED
        queued = self._queued(job_id, letter, current, now)
        if current is None or current.status is not Status.IN_PROGRESS:
            known = cached.body if cached else stored.encode() if stored else b""
            if not await self._cache.start_over(known, queued, queued.expires_at - now):
                return Verdict.CHANGED
        if stored is not None and stored.is_terminal:
            # Not removed: should the cache forget the job too, its id alone may be too old to tell that it waits.
            await self._store.start_over(stored, queued)
        return Verdict.REPLAYED

    def _queued(self, job_id: str, letter: DeadLetter, failed: Record | None, now: float) -> Record:
        """The record of the job's new life; the failed one knows best what there was before."""
        created_at = messages.created_at(job_id, letter.message, now)
        deadline_at = now + self._deadline_s
        if failed is not None:
            return Record.queued(job_id, failed.created_at, deadline_at, failed.metadata, failed.payload)
        if letter.job is not None:
            return Record.queued(job_id, created_at, deadline_at, letter.job.request.metadata, letter.job.payload)
        return Record.queued(job_id, created_at, deadline_at)


def _is_answered(record: Record | None, now: float) -> bool:
    """Whether there is anything but a failure, and a poll can still read it."""
    return (
        record is not None and record.is_terminal and record.status is not Status.FAILED and record.expires_at > now
    )
