"""The table of everything that can go wrong with the upstream: what it is called, and whether to try again."""

from dataclasses import dataclass
from enum import StrEnum

from common.errors import ErrorCode, ServiceError


class Failure(StrEnum):
    """What the upstream did, or did not do."""

    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    SERVER_ERROR = "server_error"
    CONFLICT = "conflict"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    MALFORMED_ANSWER = "malformed_answer"
    OVERSIZED_ANSWER = "oversized_answer"
    REQUEST_REFUSED = "request_refused"
    KEY_REFUSED = "key_refused"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True)
class Class:
    """What follows from a failure: the job's error code, and whether another attempt may succeed.

    `blames_key`: another key may be taken where this one was refused.
    """

    code: ErrorCode
    is_transient: bool = False
    blames_key: bool = False


CLASSES: dict[Failure, Class] = {
    Failure.RATE_LIMIT: Class(ErrorCode.UPSTREAM_RATE_LIMITED, is_transient=True),
    Failure.QUOTA: Class(ErrorCode.UPSTREAM_QUOTA, blames_key=True),
    Failure.SERVER_ERROR: Class(ErrorCode.UPSTREAM_UNAVAILABLE, is_transient=True),
    Failure.CONFLICT: Class(ErrorCode.UPSTREAM_UNAVAILABLE, is_transient=True),
    Failure.CONNECTION: Class(ErrorCode.UPSTREAM_UNAVAILABLE, is_transient=True),
    Failure.TIMEOUT: Class(ErrorCode.UPSTREAM_TIMEOUT, is_transient=True),
    Failure.MALFORMED_ANSWER: Class(ErrorCode.UPSTREAM_UNAVAILABLE, is_transient=True),
    # It was paid for, and the next one would be as long.
    Failure.OVERSIZED_ANSWER: Class(ErrorCode.UPSTREAM_UNAVAILABLE),
    Failure.REQUEST_REFUSED: Class(ErrorCode.UPSTREAM_REJECTED),
    Failure.KEY_REFUSED: Class(ErrorCode.UPSTREAM_REJECTED, blames_key=True),
    Failure.CONTEXT_TOO_LONG: Class(ErrorCode.CONTEXT_TOO_LONG),
    Failure.CONTENT_FILTER: Class(ErrorCode.CONTENT_REJECTED),
}

#: What an error's own code or type says, whatever its status.
BY_ERROR_CODE = {
    "insufficient_quota": Failure.QUOTA,
    "billing_hard_limit_reached": Failure.QUOTA,
    "billing_not_active": Failure.QUOTA,
    "context_length_exceeded": Failure.CONTEXT_TOO_LONG,
    "string_above_max_length": Failure.CONTEXT_TOO_LONG,
    "content_filter": Failure.CONTENT_FILTER,
    "content_policy_violation": Failure.CONTENT_FILTER,
}

#: What a status says where the error does not say it more exactly.
BY_STATUS = {
    401: Failure.KEY_REFUSED,
    402: Failure.QUOTA,
    403: Failure.KEY_REFUSED,
    408: Failure.TIMEOUT,
    409: Failure.CONFLICT,
    413: Failure.CONTEXT_TOO_LONG,
    425: Failure.CONFLICT,
    429: Failure.RATE_LIMIT,
}


def of_status(status: int, error_code: object, error_type: object) -> Failure:
    """What an HTTP error of the upstream means; others from 500 on are its own fault, others below are refusals."""
    for said in (error_code, error_type):
        if isinstance(said, str) and said in BY_ERROR_CODE:
            return BY_ERROR_CODE[said]
    return BY_STATUS.get(status, Failure.SERVER_ERROR if status >= 500 else Failure.REQUEST_REFUSED)


class UpstreamFailure(ServiceError):
    """The model gave no answer. `asked_delay_s` is how long the upstream asks to be left alone, if it does."""

    def __init__(self, failure: Failure, asked_delay_s: float | None = None) -> None:
        super().__init__(CLASSES[failure].code)
        self.failure = failure
        self.asked_delay_s = asked_delay_s

    @property
    def is_transient(self) -> bool:
        """Whether another attempt may succeed."""
        return CLASSES[self.failure].is_transient

    @property
    def blames_key(self) -> bool:
        """Whether another key may be taken."""
        return CLASSES[self.failure].blames_key
