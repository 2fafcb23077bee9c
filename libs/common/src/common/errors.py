"""Every error that a client can be told of: one table of codes, one shape, one exception tree.

The texts are ours. An upstream's or a driver's text never gets in here, since either may carry a secret.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

#: Seconds after which it may be worth to ask again, unless more is known.
RETRY_AFTER_S = 2


class ErrorType(StrEnum):
    """What kind of thing went wrong, for clients that do not want to know every code."""

    INVALID_REQUEST = "invalid_request_error"
    AUTHENTICATION = "authentication_error"
    NOT_FOUND = "not_found_error"
    RATE_LIMIT = "rate_limit_error"
    UNAVAILABLE = "unavailable_error"
    UPSTREAM = "upstream_error"
    JOB = "job_error"
    INTERNAL = "internal_error"


class ErrorCode(StrEnum):
    """What went wrong, for programs. The first group answers a request, the second stands in a failed job."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    JOB_NOT_FOUND = "job_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    JOB_EXPIRED = "job_expired"
    JOB_DELETED = "job_deleted"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    PARENT_NOT_FOUND = "parent_not_found"
    PARENT_NOT_FINISHED = "parent_not_finished"
    QUEUE_FULL = "queue_full"
    BROKER_UNAVAILABLE = "broker_unavailable"
    CACHE_UNAVAILABLE = "cache_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"

    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_QUOTA = "upstream_quota"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_REJECTED = "upstream_rejected"
    CONTENT_REJECTED = "content_rejected"
    CONTEXT_TOO_LONG = "context_too_long"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INVALID_MESSAGE = "invalid_message"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Meaning:
    """What a code says, and whether the same request may succeed later."""

    message: str
    type: ErrorType
    retryable: bool = False
    http_status: int = 500


MEANINGS: dict[ErrorCode, Meaning] = {
    ErrorCode.INVALID_REQUEST: Meaning("The request is not valid.", ErrorType.INVALID_REQUEST, False, 400),
    ErrorCode.UNAUTHENTICATED: Meaning(
        "A valid API key is needed: send it as 'Authorization: Bearer <key>'.",
        ErrorType.AUTHENTICATION,
        False,
        401,
    ),
    ErrorCode.NOT_FOUND: Meaning("There is nothing at this path.", ErrorType.NOT_FOUND, False, 404),
    ErrorCode.JOB_NOT_FOUND: Meaning("There is no job with this id.", ErrorType.NOT_FOUND, False, 404),
    ErrorCode.METHOD_NOT_ALLOWED: Meaning(
        "This path does not take this method.", ErrorType.INVALID_REQUEST, False, 405
    ),
    ErrorCode.IDEMPOTENCY_CONFLICT: Meaning(
        "This Idempotency-Key was used for another submission.", ErrorType.INVALID_REQUEST, False, 409
    ),
    ErrorCode.JOB_EXPIRED: Meaning("The job's result has expired and is deleted.", ErrorType.NOT_FOUND, False, 410),
    ErrorCode.JOB_DELETED: Meaning("The job was deleted.", ErrorType.NOT_FOUND, False, 410),
    ErrorCode.TOO_LARGE: Meaning("The request body is too large.", ErrorType.INVALID_REQUEST, False, 413),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: Meaning(
        "The body must be JSON in UTF-8: send 'Content-Type: application/json'.",
        ErrorType.INVALID_REQUEST,
        False,
        415,
    ),
    ErrorCode.PARENT_NOT_FOUND: Meaning(
        "There is no answered job with this id that could be continued.", ErrorType.INVALID_REQUEST, False, 400
    ),
    ErrorCode.PARENT_NOT_FINISHED: Meaning(
        "The job to be continued is not finished. Try again when it is.", ErrorType.INVALID_REQUEST, True, 409
    ),
    ErrorCode.QUEUE_FULL: Meaning(
        "The job was not accepted: the queue is full. Try again later.", ErrorType.RATE_LIMIT, True, 429
    ),
    ErrorCode.BROKER_UNAVAILABLE: Meaning(
        "The job was not accepted: the broker did not confirm it. Try again.",
        ErrorType.UNAVAILABLE,
        True,
        503,
    ),
    ErrorCode.CACHE_UNAVAILABLE: Meaning("The cache does not answer. Try again.", ErrorType.UNAVAILABLE, True, 503),
    ErrorCode.STORE_UNAVAILABLE: Meaning(
        "The job cannot be looked up at the moment. Try again.", ErrorType.UNAVAILABLE, True, 503
    ),
    ErrorCode.UPSTREAM_RATE_LIMITED: Meaning(
        "The model's rate limit was reached on every attempt.", ErrorType.UPSTREAM, True
    ),
    ErrorCode.UPSTREAM_QUOTA: Meaning("The model account's quota is used up.", ErrorType.UPSTREAM),
    ErrorCode.UPSTREAM_UNAVAILABLE: Meaning(
        "The model could not be reached or did not give a usable answer.", ErrorType.UPSTREAM, True
    ),
    ErrorCode.UPSTREAM_TIMEOUT: Meaning("The model did not answer in time.", ErrorType.UPSTREAM, True),
    ErrorCode.UPSTREAM_REJECTED: Meaning("The model refused the request.", ErrorType.UPSTREAM),
    ErrorCode.CONTENT_REJECTED: Meaning("The model's content filter refused the job.", ErrorType.UPSTREAM),
    ErrorCode.CONTEXT_TOO_LONG: Meaning("The prompt is too long for the model.", ErrorType.UPSTREAM),
    ErrorCode.DEADLINE_EXCEEDED: Meaning("The job's deadline passed before it had an answer.", ErrorType.JOB, True),
    ErrorCode.INVALID_MESSAGE: Meaning("The message on the queue is not a valid job.", ErrorType.JOB),
    ErrorCode.ATTEMPTS_EXHAUSTED: Meaning("Every attempt at the job broke off.", ErrorType.JOB, True),
    ErrorCode.CANCELLED: Meaning("The job was cancelled.", ErrorType.JOB),
    ErrorCode.INTERNAL: Meaning("Something went wrong on our side.", ErrorType.INTERNAL, True),
}


class ErrorBody(BaseModel):
    """The `error` object: the same in every HTTP answer and in every failed job."""

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    message: str
    type: ErrorType
    param: str | None = None
    retryable: bool
    request_id: str | None = None


class ServiceError(Exception):
    """The base of all errors that have a code; `message` and `param` may be shown to a client."""

    #: Seconds until it is worth trying again, where that is known.
    retry_after_s: int | None = None

    def __init__(self, code: ErrorCode, message: str | None = None, param: str | None = None) -> None:
        self.code = code
        self.message = message or MEANINGS[code].message
        self.param = param
        super().__init__(f"{code}: {self.message}")

    @property
    def http_status(self) -> int:
        """The status of an HTTP answer that carries this error."""
        return MEANINGS[self.code].http_status

    def body(self, request_id: str | None = None) -> ErrorBody:
        """The error as a client sees it."""
        meaning = MEANINGS[self.code]
        return ErrorBody(
            code=self.code,
            message=self.message,
            type=meaning.type,
            param=self.param,
            retryable=meaning.retryable,
            request_id=request_id,
        )


class InvalidRequest(ServiceError):
    """A client's request that cannot become a job; `param` is the dotted path of the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(ErrorCode.INVALID_REQUEST, message, param)


class JobDeleted(ServiceError):
    """Somebody has deleted the job: nothing of it is told, saved or tried any more."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.JOB_DELETED)


class QueueFull(ServiceError):
    """The job queue has as many jobs as it may have; nothing was asked of the broker."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(ErrorCode.QUEUE_FULL)
        self.retry_after_s = retry_after_s


class BrokerUnavailable(ServiceError):
    """The broker did not confirm in time, or refused, or is away: what was published may not be there."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.BROKER_UNAVAILABLE)


class PublishRefused(BrokerUnavailable):
    """The broker answered, and does not take the message: the queue is full."""


class Unroutable(BrokerUnavailable):
    """The broker answered, and there is no queue that the message could go to."""


class CacheUnavailable(ServiceError):
    """The cache did not answer in time, or answered with an error."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.CACHE_UNAVAILABLE)


class StoreUnavailable(ServiceError):
    """The store did not answer in time, or answered with an error."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.STORE_UNAVAILABLE)
