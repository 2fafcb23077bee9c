"""What happens to a delivery before anything is settled: take the lease, call the model.

Nothing here acknowledges or saves; that follows from the outcome (outcomes.py) and is done in settlement.py.
"""

import asyncio
import math
import time
from dataclasses import replace
from typing import Any

import structlog

from common import metrics
from common.broker import Delivery
from common.cache import Cache, Claim, Lease, Taken
from common.errors import ErrorCode, JobDeleted, ServiceError, StoreUnavailable
from common.jobs import Record, Status
from common.store import Store
from gpt_worker.answering import Answering
from gpt_worker.beginning import Beginning
from gpt_worker.cancelling import Cancelling, Unwanted, Wish
from gpt_worker.completion import Completion
from gpt_worker.conversation import Conversation, turn_of
from gpt_worker.endings import Endings
from gpt_worker.failures import UpstreamFailure
from gpt_worker.in_hand import InHand
from gpt_worker.keep_trying import keep_trying
from gpt_worker.outcomes import Outcome, Result
from gpt_worker.reading import Job, Reading
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()


class Processing:
    """Turns deliveries into results, for one worker."""

    def __init__(
        self,
        settings: WorkerSettings,
        in_hand: InHand,
        cancelling: Cancelling,
        cache: Cache,
        store: Store,
        completion: Completion,
    ) -> None:
        self._settings = settings
        self._endings = Endings(settings)
        self._in_hand = in_hand
        self._cancelling = cancelling
        self._cache = cache
        self._store = store
        self._beginning = Beginning(settings, cache, store)
        self._answering = Answering(settings, cache, completion)
        self._reading = Reading(settings)
        self._conversation = Conversation(settings, cache, store)
        self._loop = asyncio.get_running_loop()
        #: The tasks in which an attempt has begun.
        self.attempting: set[asyncio.Task[Any] | None] = set()

    async def process(self, delivery: Delivery) -> Result:
        """What became of the delivery. Nothing is settled, but an attempt may have been made and paid for."""
        job = self._reading.read(delivery)
        if isinstance(job, Result):
            return job
        structlog.contextvars.bind_contextvars(job_id=job.id)
        lease = self._in_hand.new_lease()
        wish = self._cancelling.begin(job.id)
        try:
            result = await self._process(job, lease, wish, redelivered=delivery.redelivered)
        except asyncio.CancelledError:
            _go_on_after_cancel()
            result = Result(Outcome.INTERRUPTED, job.id)
        except JobDeleted:
            # Of which the cache may not know, or not any more.
            result = Result(Outcome.DELETED, job.id, job.record)
        except StoreUnavailable:
            result = self._endings.again(Outcome.POSTPONED, job.record, job.attempts_before)
        except Exception:
            log.exception("attempt_broke")
            result = self._endings.gave_up(Outcome.BROKEN, job.record, ErrorCode.INTERNAL)
        finally:
            self._cancelling.end(job.id, wish)
        task = asyncio.current_task(self._loop)
        was_attempted = task in self.attempting
        self.attempting.discard(task)
        turn = turn_of(job, result.record, self._settings.conversation_ttl_s)
        return replace(result, lease=lease, was_attempted=was_attempted, begun_at=job.begun_at, turn=turn)

    async def _process(self, job: Job, lease: Lease, wish: Wish, *, redelivered: bool) -> Result:
        taken = await self._take(job, lease)
        if taken.claim is Claim.CANCELLED:
            return await self._cancelled(job, taken, redelivered=redelivered)
        if taken.claim is not Claim.TAKEN:
            return self._not_taken(job, taken)
        known = await self._known_to_store(job, taken.record, redelivered=redelivered)
        if known is not None and known.is_terminal:
            return Result(Outcome.ALREADY_FINISHED, job.id, known)
        if known is not None and known.attempt >= taken.attempt:
            # The cache has lost its memory since.
            taken = await self._take(job, lease, known.attempt)
        record = _begun_with(job.record, taken.record, known)
        if time.time() >= record.deadline_at:
            return self._endings.gave_up(Outcome.DEADLINE_EXCEEDED, record, ErrorCode.DEADLINE_EXCEEDED)
        if taken.attempt > self._settings.max_attempts:
            record = record.model_copy(update={"attempt": taken.attempt - 1})
            return self._endings.gave_up(Outcome.EXHAUSTED, record, ErrorCode.ATTEMPTS_EXHAUSTED)
        attempt = taken.attempt
        # A call keeps what the frames below it hold, for as long as it takes.
        del taken, known
        return await self._attempt_in_conversation(job, record, attempt, lease, wish)

    async def _known_to_store(self, job: Job, seen: Record | None, *, redelivered: bool) -> Record | None:
        """What the store knows of the job, unless that has expired; raises StoreUnavailable.

        A job that is queued in the cache and comes for the first time cannot be in the store yet.
        """
        is_first = seen is not None and seen.status is Status.QUEUED and not job.attempts_before
        if is_first and not redelivered:
            return None
        known = await self._store.find(job.id)
        return None if known is None or (known.is_terminal and known.expires_at <= time.time()) else known

    async def _take(self, job: Job, lease: Lease, attempts_known: int = 0) -> Taken:
        """Take the lease, also from this worker itself if it has forgotten about that one."""
        lease_s = max(1, job.record.expires_at - time.time())
        before = max(job.attempts_before, attempts_known)
        taken = await keep_trying(lambda: self._cache.take(job.id, lease, before, lease_s))
        forgotten = taken.by_token
        if forgotten is not None and forgotten not in self._in_hand:
            log.warning("lease_was_forgotten")
            taken = await keep_trying(lambda: self._cache.take(job.id, lease, before, lease_s, instead_of=forgotten))
        return taken

    def _not_taken(self, job: Job, taken: Taken) -> Result:
        if taken.claim is Claim.FINISHED:
            return Result(Outcome.ALREADY_FINISHED, job.id, taken.record)
        if taken.claim is Claim.WITHDRAWN:
            return Result(Outcome.WITHDRAWN, job.id)
        if taken.claim is Claim.DELETED:
            return Result(Outcome.DELETED, job.id)
        # Another delivery of the job is being worked on; long after its deadline, nothing is any more.
        if time.time() >= job.record.expires_at:
            return self._endings.gave_up(Outcome.DEADLINE_EXCEEDED, job.record, ErrorCode.DEADLINE_EXCEEDED)
        return self._endings.again(Outcome.LEASED, job.record, job.attempts_before)

    async def _cancelled(self, job: Job, taken: Taken, *, redelivered: bool) -> Result:
        """The end of a job that nobody has in hand and nobody wants.

        The cache may have lost its memory before it heard of the wish; the store knows which attempt was made.
        """
        known = await self._known_to_store(job, taken.record, redelivered=redelivered)
        if known is not None and known.is_terminal:
            return Result(Outcome.ALREADY_FINISHED, job.id, known)
        tried = _tried_before(job.record, taken, known)
        text = await keep_trying(lambda: self._cache.texts.read(job.id, tried.attempt))
        return self._endings.cancelled(tried, text or None)

    async def _attempt_in_conversation(
        self, job: Job, record: Record, attempt: int, lease: Lease, wish: Wish
    ) -> Result:
        """Make the attempt with what was said before in the job's conversation, if it is in one."""
        try:
            prompt = await self._conversation.prompt_of(job)
        except StoreUnavailable:
            raise  # it is no end of the job
        except ServiceError as error:
            return self._endings.gave_up(Outcome.FAILED, record, error.code)
        whole = job if prompt is job.prompt else replace(job, prompt=prompt)
        return await self._attempt(whole, record, attempt, lease, wish)

    async def _attempt(self, job: Job, record: Record, attempt: int, lease: Lease, wish: Wish) -> Result:
        """Call the model once, with the lease in hand."""
        self.attempting.add(asyncio.current_task(self._loop))
        model = job.options.model or self._settings.openai_model
        started = record.started(attempt, model)
        async with self._beginning.of(started) as has_begun:
            if not has_begun:
                return await self._ended(job, record, attempt, lease)
            self._in_hand.started(lease, started)
            now = time.time()
            if now >= started.deadline_at:
                return self._endings.gave_up(Outcome.DEADLINE_EXCEEDED, started, ErrorCode.DEADLINE_EXCEEDED)
            metrics.ATTEMPTS.inc()
            if attempt == 1:
                metrics.QUEUE_SECONDS.observe(now - job.begun_at)
            longest_s = min(job.options.timeout_s or math.inf, self._settings.job_timeout_s)
            log.debug("attempt_started", attempt=attempt)
            try:
                answer = await self._answering.answer(
                    job, started, model, min(longest_s, started.deadline_at - now), wish
                )
            except Unwanted as unwanted:
                log.info("attempt_cancelled", attempt=attempt)
                return await self._unwanted(job, started, lease, unwanted.text_so_far)
            except UpstreamFailure as failure:
                log.warning("attempt_failed", attempt=attempt, code=failure.code, failure=failure.failure)
                failed = self._endings.failed(started, failure)
                is_last = failed.outcome is not Outcome.TRANSIENT
                return failed if is_last or not wish.is_to_end else await self._unwanted(job, started, lease)
        completed = started.completed(answer.text, answer.model, answer.usage, self._settings.result_store_ttl_s)
        return Result(Outcome.COMPLETED, job.id, completed)

    async def _ended(self, job: Job, record: Record, attempt: int, lease: Lease) -> Result:
        """What becomes of a job that is terminal although its lease was got just now."""
        taken = await self._take(job, lease)
        if taken.claim is Claim.CANCELLED:
            return await self._cancelled(job, taken, redelivered=True)
        if taken.claim is Claim.DELETED:
            return self._not_taken(job, taken)
        # The next delivery asks the store, and will find it so.
        return self._endings.again(Outcome.POSTPONED, record, attempt)

    async def _unwanted(self, job: Job, started: Record, lease: Lease, text_so_far: str | None = None) -> Result:
        """The end of an attempt whose answer nobody wants any more: cancelled, unless the job was deleted."""
        taken = await self._take(job, lease)
        if taken.claim is Claim.DELETED:
            # It may have written more since.
            return Result(Outcome.DELETED, job.id, started)
        if taken.claim in (Claim.FINISHED, Claim.WITHDRAWN):
            return self._not_taken(job, taken)
        return self._endings.cancelled(started, text_so_far)


def _begun_with(record: Record, *seen: Record | None) -> Record:
    """The record as the message knows it, with the first start that anybody has seen.

    What the cache holds may be what a reader has made of the id alone.
    """
    starts = [other.started_at for other in seen if other is not None and other.started_at is not None]
    return record.model_copy(update={"started_at": min(starts)}) if starts else record


def _tried_before(record: Record, taken: Taken, known: Record | None) -> Record:
    """The record as the message knows it, with what the attempts made so far have left in the cache or the store."""
    seen = [other for other in (taken.record, known) if other is not None]
    last = max(seen, key=lambda other: other.attempt, default=record)
    tried = {"attempt": max(taken.attempt, last.attempt), "model": last.model}
    return _begun_with(record, *seen).model_copy(update=tried)


def _go_on_after_cancel() -> None:
    """The drain time is over and the call is given up, but the delivery must still be given back."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
