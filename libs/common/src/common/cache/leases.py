"""A worker's claim on a job, and the answer to its wish for one."""

import uuid
from dataclasses import dataclass, field
from enum import Enum

from common.jobs import Record

#: Seconds that a worker counts as living after its last sign of life.
WORKER_TTL_S = 15


@dataclass(frozen=True)
class Lease:
    """A worker's claim on a job: which worker's, and a token of the one delivery that it is for."""

    worker: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)


def milliseconds(seconds: float) -> int:
    """As Redis counts what lives for a while."""
    return max(1, round(seconds * 1000))


class Claim(Enum):
    """How an attempt to take the lease of a job ended."""

    TAKEN = "taken"
    LEASED = "leased"
    FINISHED = "finished"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    DELETED = "deleted"


@dataclass(frozen=True)
class Taken:
    """The answer to `take`: with the record where there is one, and the number of the attempt if taken.

    Of a job that is to be cancelled, and that nobody else has in hand, it is the number of the last attempt.

    `by_token` is the token of the lease that stands in the way, if it is the same worker's.
    """

    claim: Claim
    record: Record | None = None
    attempt: int = 0
    by_token: str | None = None
