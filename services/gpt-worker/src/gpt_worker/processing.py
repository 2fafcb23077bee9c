"""What happens to a delivery before anything is settled: read it, take the lease, call the model.

Nothing here acknowledges or saves; that follows from the outcome (outcomes.py) and is done in settlement.py.
"""

import asyncio
import math
import time
from dataclasses import dataclass, replace

import structlog

from common import messages, metrics
from common.broker import Delivery
from common.cache import Cache, Claim, Lease
from common.errors import ErrorCode, ServiceError
from common.jobs import Record, Status
from common.messages import InvalidMessage, Message
from common.prompts import ChatMessage, Options
from common.store import Store
from common.templates import Templates
from gpt_worker.completion import Completion, UpstreamFailure
from gpt_worker.keep_trying import keep_trying
from gpt_worker.outcomes import TRANSIENT_CODES, Outcome, Result
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A delivery that could be read.

    `record` is what a client would see if nobody had recorded anything; `begun_at` is when the job was accepted,
    or replayed from the dead letters.
    """

    prompt: list[ChatMessage]
    options: Options
    record: Record
    begun_at: float
    attempts_before: int

    @property
    def id(self) -> str:
        """The job's id."""
        return self.record.id


class Processing:
    """Turns deliveries into results, for one worker."""

    def __init__(
        self, settings: WorkerSettings, worker: str, cache: Cache, store: Store, completion: Completion
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._cache = cache
        self._store = store
        self._completion = completion
        self._templates = Templates.load()

    async def process(self, delivery: Delivery) -> Result:
        """What became of the delivery. Nothing is settled, but an attempt may have been made and paid for."""
        try:
            job = self._read(delivery.message)
        except InvalidMessage as invalid:
            return self._invalid(delivery.message, invalid)
        except Exception:
            # Given back, it would come again at once, and for ever.
            log.exception("message_broke_us")
            return Result(
                Outcome.BROKEN,
                headers=messages.dead_letter_headers(ErrorCode.INTERNAL, "the message could not be read"),
            )
        structlog.contextvars.bind_contextvars(job_id=job.id)
        lease = Lease(self._worker)
        try:
            result = await self._process(job, lease, redelivered=delivery.redelivered)
            return replace(result, lease=lease)
        except asyncio.CancelledError:
            _go_on_after_cancel()
            return Result(Outcome.INTERRUPTED, job.id, lease=lease)
        except Exception:
            log.exception("attempt_broke")
            return self._gave_up(Outcome.BROKEN, job.record, ErrorCode.INTERNAL)

    async def _process(self, job: Job, lease: Lease, *, redelivered: bool) -> Result:
        lease_s = max(1, job.record.expires_at - time.time())
        taken = await keep_trying(lambda: self._cache.take(job.id, lease, job.attempts_before, lease_s))
        if taken.claim is Claim.FINISHED:
            return Result(Outcome.ALREADY_FINISHED, job.id, taken.record)
        if taken.claim is Claim.LEASED:
            return self._leased(job)
        # What the cache holds may be what a reader has made of the id alone; the message knows the job.
        seen = taken.record
        record = job.record.model_copy(update={"started_at": seen.started_at}) if seen else job.record
        # A job that is queued in the cache and comes for the first time cannot be in the store yet.
        if redelivered or seen is None or seen.status is not Status.QUEUED:
            saved = await keep_trying(lambda: self._store.find(job.id))
            if saved is not None and saved.expires_at > time.time():
                return Result(Outcome.ALREADY_FINISHED, job.id, saved)
        if time.time() >= record.deadline_at:
            return self._gave_up(Outcome.DEADLINE_EXCEEDED, record, ErrorCode.DEADLINE_EXCEEDED)
        if taken.attempt > self._settings.max_attempts:
            record = record.model_copy(update={"attempt": taken.attempt - 1})
            return self._gave_up(Outcome.EXHAUSTED, record, ErrorCode.ATTEMPTS_EXHAUSTED)
        return await self._attempt(job, record, taken.attempt)

    def _leased(self, job: Job) -> Result:
        """Another delivery of the job is being worked on; long after its deadline, nothing is any more."""
        if time.time() >= job.record.expires_at:
            return self._gave_up(Outcome.DEADLINE_EXCEEDED, job.record, ErrorCode.DEADLINE_EXCEEDED)
        return _again(Outcome.LEASED, job.record, job.attempts_before)

    async def _attempt(self, job: Job, record: Record, attempt: int) -> Result:
        """Call the model once, with the lease in hand."""
        model = job.options.model or self._settings.openai_model
        started = record.started(attempt, model)
        lifetime_s = started.expires_at - time.time()
        if not await keep_trying(lambda: self._cache.advance(started, lifetime_s)):
            # It has become terminal meanwhile; the next delivery will find it so.
            return _again(Outcome.LEASED, record, attempt)
        now = time.time()
        if now >= started.deadline_at:
            return self._gave_up(Outcome.DEADLINE_EXCEEDED, started, ErrorCode.DEADLINE_EXCEEDED)
        metrics.ATTEMPTS.inc()
        if attempt == 1:
            metrics.QUEUE_SECONDS.observe(now - job.begun_at)
        longest_s = min(job.options.timeout_s or math.inf, self._settings.job_timeout_s)
        log.info("attempt_started", attempt=attempt)
        try:
            answer = await self._completion.answer(
                job.prompt, model, job.options, min(longest_s, started.deadline_at - now)
            )
        except UpstreamFailure as failure:
            log.warning("attempt_failed", attempt=attempt, code=failure.code)
            return self._failed(started, failure)
        completed = started.completed(answer.text, answer.model, answer.usage, self._settings.result_store_ttl_s)
        return Result(Outcome.COMPLETED, job.id, completed)

    def _failed(self, record: Record, failure: UpstreamFailure) -> Result:
        """What a failed attempt leads to: the end, or another attempt if that can still be in time."""
        if failure.code not in TRANSIENT_CODES:
            return self._gave_up(Outcome.FAILED, record, failure.code)
        now = time.time()
        if now >= record.deadline_at:
            return self._gave_up(Outcome.DEADLINE_EXCEEDED, record, ErrorCode.DEADLINE_EXCEEDED)
        if record.attempt >= self._settings.max_attempts:
            return self._gave_up(Outcome.EXHAUSTED, record, failure.code)
        if now + self._settings.retry_delay_s >= record.deadline_at:
            # The deadline has not passed yet; what there is to tell is why this attempt was the last.
            return self._gave_up(Outcome.FAILED, record, failure.code)
        return _again(Outcome.TRANSIENT, record, record.attempt)

    def _read(self, message: Message) -> Job:
        """The job in a message; raises InvalidMessage."""
        parsed = messages.decode(message)
        now = time.time()
        created_at = messages.created_at(parsed.job_id, message, now)
        begun_at = min(messages.replayed_at(message) or created_at, now)
        latest = begun_at + self._settings.job_deadline_s
        try:
            deadline_at = min(messages.deadline_of(message, default=latest), math.ceil(latest))
            prompt = parsed.request.prompt(self._templates)
        except ServiceError as error:
            raise InvalidMessage(error.message, error.param, parsed.job_id) from error
        record = Record.queued(parsed.job_id, created_at, deadline_at, parsed.request.metadata, parsed.payload)
        return Job(prompt, parsed.request.options, record, begun_at, messages.attempts_before(message))

    def _invalid(self, message: Message, invalid: InvalidMessage) -> Result:
        """A message that cannot become an answer fails under its id, if that much of it can be read."""
        text = f"{invalid.param}: {invalid.message}" if invalid.param else invalid.message
        # Not the path of the field, which may hold a key of the publisher's own.
        log.warning("message_invalid", job_id=invalid.job_id, reason=invalid.message)
        if invalid.job_id is None:
            return Result(Outcome.INVALID, headers=messages.dead_letter_headers(invalid.code, text))
        now = time.time()
        record = Record.queued(invalid.job_id, min(message.timestamp or now, now), now)
        failed = record.failed(invalid.body(messages.request_id_of(message)), self._settings.result_store_ttl_s)
        return Result(Outcome.INVALID, invalid.job_id, failed, messages.dead_letter_headers(invalid.code, text))

    def _gave_up(self, outcome: Outcome, record: Record, code: ErrorCode) -> Result:
        error = ServiceError(code)
        failed = record.failed(error.body(), self._settings.result_store_ttl_s)
        return Result(outcome, record.id, failed, messages.dead_letter_headers(code, error.message, record.attempt))


def _again(outcome: Outcome, record: Record, attempts: int) -> Result:
    headers = {messages.ATTEMPT_HEADER: attempts, messages.DEADLINE_HEADER: record.deadline_at}
    return Result(outcome, record.id, headers=headers)


def _go_on_after_cancel() -> None:
    """The drain time is over and the call is given up, but the delivery must still be given back."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
