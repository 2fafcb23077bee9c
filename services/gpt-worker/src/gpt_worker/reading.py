"""Reads deliveries: a job, or else what is to be done with the message all the same."""

import math
import time
from dataclasses import dataclass

import structlog

from common import messages
from common.broker import Delivery
from common.errors import ErrorCode, ServiceError
from common.jobs import Record
from common.messages import InvalidMessage, Message
from common.prompts import ChatMessage, Options
from common.templates import Templates
from gpt_worker.outcomes import Outcome, Result
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()

#: How often a message may come back from workers that died or lost their connection. RabbitMQ 4 drops it after 20.
MOST_RETURNS = 8


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


class Reading:
    """Turns messages into jobs."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._templates = Templates.load()

    def read(self, delivery: Delivery) -> Job | Result:
        """The job in a delivery; or the result, if there is none to work on now."""
        message = delivery.message
        if delivery.returns >= MOST_RETURNS:
            return Result(Outcome.RENEWED)
        try:
            unsaved = messages.unsaved_record(message)
            if unsaved is not None:
                return Result(Outcome.ALREADY_FINISHED, unsaved.id, unsaved, turn=messages.unsaved_turn(message))
            job = self._job(message)
        except InvalidMessage as invalid:
            return self._invalid(message, invalid)
        except Exception:
            # Given back, it would come again at once, and for ever.
            log.exception("message_broke_us")
            headers = messages.dead_letter_headers(ErrorCode.INTERNAL, "the message could not be read")
            return Result(Outcome.BROKEN, headers=headers)
        too_early_s = min(messages.not_before(message), job.record.deadline_at) - time.time()
        return job if too_early_s <= 0 else Result(Outcome.EARLY, job.id, delay_s=too_early_s)

    def _job(self, message: Message) -> Job:
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
