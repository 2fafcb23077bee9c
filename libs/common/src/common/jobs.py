"""The vocabulary: what a job is, which statuses it has, and the record of it that a client sees."""

import math
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from common.errors import ErrorBody, ErrorCode, ServiceError

#: Seconds that a record outlives the job's deadline, so that a worker that is late still finds it.
DEADLINE_MARGIN_S = 60


class Status(StrEnum):
    """Where a job stands. It only ever moves down this list, and a terminal status is final."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Frozen(BaseModel):
    """A document that goes over the wire: immutable, and strict about types."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Usage(Frozen):
    """Tokens, as the upstream counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class Urls(Frozen):
    """Where to go on; paths on the host that the client already talks to."""

    result: str


class QueuePlace(Frozen):
    """Where a waiting job stands."""

    position: int = Field(ge=1, description="1 is next")
    estimated_start_s: float | None = Field(
        ge=0, description="in how many seconds an attempt is likely to begin; null while no rate is known"
    )


@dataclass(slots=True)
class EncodedRecord:
    """A record as its JSON, for those who only pass it on; of a job that waits, with the number it has in line.

    Not frozen, which would make it four times as expensive: each poll makes one.
    """

    body: bytes
    is_terminal: bool
    is_running: bool = False
    place: int | None = field(default=None, compare=False)


class Record(Frozen):
    """The job as a client sees it. Its JSON is the same bytes in the cache, in the store and on the wire.

    All times are whole Unix seconds.
    """

    model_config = ConfigDict(strict=False)

    id: str
    object: Literal["job"] = "job"
    status: Status
    created_at: int
    started_at: int | None = None
    completed_at: int | None = Field(default=None, description="when the job became terminal, whichever way it ended")
    expires_at: int = Field(description="until when this record can be read, if nothing more happens")
    deadline_at: int = Field(description="after this moment no attempt is made any more")
    attempt: int = Field(default=0, description="how many attempts have been started")
    model: str | None = None
    output_text: str | None = None
    usage: Usage | None = None
    error: ErrorBody | None = None
    metadata: dict[str, str] = {}
    payload: JsonValue = Field(
        default=None,
        exclude_if=lambda payload: payload is None,
        description="what a publisher on the broker asked to be kept with the result; absent if nothing",
    )
    urls: Urls
    queue: QueuePlace | None = Field(
        default=None,
        exclude_if=lambda queue: queue is None,
        description="where the job stands; only while it is queued, and known. Not kept: each answer tells it anew",
    )

    @classmethod
    def queued(
        cls,
        job_id: str,
        created_at: float,
        deadline_at: float,
        metadata: dict[str, str] | None = None,
        payload: JsonValue = None,
    ) -> Self:
        """The record of a job that waits. `created_at` and `deadline_at` are Unix seconds."""
        deadline = math.ceil(deadline_at)
        return cls(
            id=job_id,
            status=Status.QUEUED,
            created_at=int(created_at),
            deadline_at=deadline,
            expires_at=deadline + DEADLINE_MARGIN_S,
            metadata=metadata or {},
            payload=payload,
            urls=Urls(result=f"/v1/results/{job_id}"),
        )

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can change any more."""
        return self.status in TERMINAL

    def started(self, attempt: int, model: str) -> Self:
        """The record while an attempt runs; the first start stays the start."""
        return self.model_copy(
            update={
                "status": Status.IN_PROGRESS,
                "attempt": attempt,
                "model": model,
                "started_at": self.started_at or int(time.time()),
            }
        )

    def completed(self, output_text: str, model: str, usage: Usage | None, ttl_s: float) -> Self:
        """The record of an answered job, which can be read for `ttl_s` seconds from now."""
        answer = {"output_text": output_text, "model": model, "usage": usage}
        return self._finished(Status.COMPLETED, ttl_s, answer)

    def failed(self, error: ErrorBody, ttl_s: float) -> Self:
        """The record of a job that will never be answered, which can be read for `ttl_s` seconds from now."""
        return self._finished(Status.FAILED, ttl_s, {"error": error})

    def cancelled(self, text_so_far: str | None, ttl_s: float) -> Self:
        """The record of a job that somebody has ended, with what had been written until then."""
        outcome = {"output_text": text_so_far, "error": ServiceError(ErrorCode.CANCELLED).body()}
        return self._finished(Status.CANCELLED, ttl_s, outcome)

    def lasting(self, ttl_s: float) -> Self:
        """The record with `ttl_s` seconds from now to be read in."""
        return self.model_copy(update={"expires_at": math.ceil(time.time() + ttl_s)})

    def _finished(self, status: Status, ttl_s: float, outcome: dict[str, Any]) -> Self:
        now = time.time()
        times = {"completed_at": int(now), "expires_at": math.ceil(now + ttl_s)}
        return self.model_copy(update={"status": status, **times, **outcome})

    def encode(self) -> bytes:
        """The record's JSON."""
        return self.model_dump_json().encode()

    def encoded(self) -> EncodedRecord:
        """The record's JSON, and whether it is final."""
        return EncodedRecord(self.encode(), self.is_terminal, self.status is Status.IN_PROGRESS)

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """The record from its JSON; raises ValueError for anything that `encode` did not write."""
        return cls.model_validate_json(encoded)


def queued_json(job_id: str, created_at: float, deadline_at: int, metadata: dict[str, str]) -> bytes:
    """`Record.queued(…).encode()` in a fifth of its time: a submission needs nothing of the record but its JSON."""
    return orjson.dumps(
        {
            "id": job_id,
            "object": "job",
            "status": "queued",
            "created_at": int(created_at),
            "started_at": None,
            "completed_at": None,
            "expires_at": deadline_at + DEADLINE_MARGIN_S,
            "deadline_at": deadline_at,
            "attempt": 0,
            "model": None,
            "output_text": None,
            "usage": None,
            "error": None,
            "metadata": metadata,
            "urls": {"result": f"/v1/results/{job_id}"},
        }
    )
