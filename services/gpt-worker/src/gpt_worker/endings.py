"""The results that processing can come to, with all that settlement needs of them."""

import time
from dataclasses import replace

from common import messages
from common.errors import ErrorCode, ServiceError
from common.jobs import Record
from gpt_worker import retries
from gpt_worker.failures import UpstreamFailure
from gpt_worker.outcomes import Outcome, Result
from gpt_worker.settings import WorkerSettings

#: Seconds by which a timer may ring early: libuv counts whole milliseconds. The call that is cut at the deadline was
#: not cut before it.
EARLY_S = 0.005


class Endings:
    """Results by what the worker's settings say of times and attempts."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def failed(self, record: Record, failure: UpstreamFailure) -> Result:
        """What a failed attempt leads to: the end, or another attempt if that can still be in time."""
        if not failure.is_transient:
            return self.gave_up(Outcome.FAILED, record, failure.code)
        now = time.time()
        if now >= record.deadline_at - EARLY_S:
            return self.gave_up(Outcome.DEADLINE_EXCEEDED, record, ErrorCode.DEADLINE_EXCEEDED)
        if record.attempt >= self._settings.max_attempts:
            return self.gave_up(Outcome.EXHAUSTED, record, failure.code)
        delay_s = retries.delay_s(
            record.attempt,
            failure.asked_delay_s,
            self._settings.retry_delay_s,
            self._settings.retry_max_delay_s,
        )
        if now + delay_s >= record.deadline_at:
            # The deadline has not passed yet; what there is to tell is why this attempt was the last.
            return self.gave_up(Outcome.FAILED, record, failure.code)
        result = self.again(Outcome.TRANSIENT, record, record.attempt)
        # As text: the driver sends floats in 32 bits, which is a minute off for times of our days.
        headers = {**result.headers, messages.NOT_BEFORE_HEADER: f"{now + delay_s:.3f}"}
        return replace(result, headers=headers, delay_s=delay_s)

    def gave_up(self, outcome: Outcome, record: Record, code: ErrorCode) -> Result:
        error = ServiceError(code)
        failed = record.failed(error.body(), self._settings.result_store_ttl_s)
        return Result(outcome, record.id, failed, messages.dead_letter_headers(code, error.message, record.attempt))

    def again(self, outcome: Outcome, record: Record, attempts: int) -> Result:
        headers = {messages.ATTEMPT_HEADER: attempts, messages.DEADLINE_HEADER: record.deadline_at}
        return Result(outcome, record.id, headers=headers, delay_s=self._settings.retry_delay_s)

    def cancelled(self, record: Record, text_so_far: str | None) -> Result:
        cancelled = record.cancelled(text_so_far, self._settings.result_store_ttl_s)
        return Result(Outcome.CANCELLED, record.id, cancelled)
