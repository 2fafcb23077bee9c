"""The record of a job as the service tells it. What a newer service adds is passed over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class JobError:
    """The `error` object of an answer or of a failed job. Programs go by `code`, people read `message`."""

    code: str
    message: str
    type: str = ""
    param: str | None = None
    #: The same request may succeed later.
    retryable: bool = False
    request_id: str | None = None

    @classmethod
    def read(cls, error: Mapping[str, Any]) -> Self:
        """From JSON; raises KeyError if it has no code."""
        return cls(
            code=str(error["code"]),
            message=str(error.get("message", "")),
            type=str(error.get("type", "")),
            param=error.get("param"),
            retryable=bool(error.get("retryable")),
            request_id=error.get("request_id"),
        )


@dataclass(frozen=True)
class QueuePlace:
    """Where a waiting job stands: 1 is next. `estimated_start_s` is None where no rate is known."""

    position: int
    estimated_start_s: float | None = None

    @classmethod
    def read(cls, place: Mapping[str, Any]) -> Self:
        """From JSON."""
        return cls(int(place["position"]), place.get("estimated_start_s"))


@dataclass(frozen=True)
class Usage:
    """Tokens, as the model's provider counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Job:
    """A job as it was at one moment. All times are Unix seconds."""

    id: str
    #: queued → in_progress → completed | failed | cancelled
    status: str
    created_at: int
    #: Until when it can be read, if nothing more happens.
    expires_at: int
    #: After this no attempt is started.
    deadline_at: int
    started_at: int | None = None
    completed_at: int | None = None
    attempt: int = 0
    model: str | None = None
    #: The answer; while it is written, and once it is cancelled, as far as it was written.
    output_text: str | None = None
    usage: Usage | None = None
    error: JobError | None = None
    #: Only while it waits.
    queue: QueuePlace | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    payload: Any = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can change any more."""
        return self.status in TERMINAL

    @property
    def text(self) -> str:
        """The answer, or an empty text if there is none."""
        return self.output_text or ""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """From the JSON of a record; raises KeyError, TypeError or ValueError for what is none."""
        usage, error, queue = record.get("usage"), record.get("error"), record.get("queue")
        return cls(
            id=record["id"],
            status=record["status"],
            created_at=record["created_at"],
            expires_at=record["expires_at"],
            deadline_at=record["deadline_at"],
            started_at=record.get("started_at"),
            completed_at=record.get("completed_at"),
            attempt=record.get("attempt", 0),
            model=record.get("model"),
            output_text=record.get("output_text"),
            usage=usage and Usage(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
            error=error and JobError.read(error),
            queue=queue and QueuePlace.read(queue),
            metadata=record.get("metadata") or {},
            payload=record.get("payload"),
        )
