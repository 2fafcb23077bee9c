"""Documents and what is done to them, whichever way that travels.

A document of the collection `results`: `_id` (the job's id), `record` (the record's JSON), `expires_at`
(until when it may be read) and `delete_at` (when the TTL index removes it; never before `expires_at`). That of a
job which has begun and is not terminal has `attempt` too, and gives way to any later one. That of a job which was
completed may have its `turn` of a conversation: `parent_id`, `messages`, `until` (when it can be continued no
longer; never after `delete_at`) and `size` (about the bytes of turn and record).
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from common.errors import JobDeleted
from common.jobs import Record
from common.turns import Turn

Document = dict[str, Any]


@dataclass(frozen=True)
class Write:
    """The document is to replace the job's one if that is as in `over`, and to be there if there is none."""

    job_id: str
    document: Document
    over: tuple[Document, ...]
    #: About how many bytes it is.
    size: int
    #: Whether it must survive the loss of the primary and of its memory, once it is acknowledged.
    must_last: bool

    @property
    def of(self) -> Document:
        """The filter; if it fits none, the id alone says whether there is one."""
        return {"_id": self.job_id, "$or": list(self.over)}


class Documents(Protocol):
    """Writes and reads, each alone or many in one exchange: plain_documents.py and batched_documents.py.

    All raise PyMongo's exceptions, and OSError if they were closed meanwhile.
    """

    def write(self, write: Write) -> Awaitable[bool]:
        """Whether it was written; if not, there is a document that it may not replace."""

    def find(self, job_id: str) -> Awaitable[Document | None]:
        """The job's document."""

    async def aclose(self) -> None:
        """What is under way fails."""


def begun(started: Record, keep_until: float) -> Write:
    """The record of a job that runs, over earlier attempts and what has expired."""
    document = in_progress(started, keep_until)
    over = ({"attempt": {"$lte": started.attempt}}, {**_expired(), "attempt": {"$exists": False}})
    # What is lost of these is told by the cache, and written again by the next attempt.
    return Write(started.id, document, over, len(document["record"]), must_last=False)


def ended(record: Record, keep_until: float, turn: Turn | None = None) -> Write:
    """A terminal record, over one that is not terminal, or has expired, and no other."""
    document = _document(record, keep_until)
    size = len(document["record"])
    if turn is not None:
        until = max(turn.until, record.expires_at)
        size += sum(len(message.content.encode()) for message in turn.messages)
        document["turn"] = {**turn.model_dump(), "until": _date(until), "size": size}
        document["delete_at"] = _date(max(until, keep_until))
    over = ({"attempt": {"$exists": True}}, _expired())
    return Write(record.id, document, over, size, must_last=True)


def in_progress(record: Record, keep_until: float) -> Document:
    """That of a job which is not terminal."""
    return {**_document(record, keep_until), "attempt": record.attempt}


def tombstone(keep_until: float) -> Document:
    """What is left of a job that was deleted."""
    return {"deleted": True, "delete_at": _date(keep_until)}


def record_of(document: Document | None) -> Record | None:
    """The record that it holds; raises JobDeleted."""
    if document and "deleted" in document:
        raise JobDeleted
    return Record.decode(document["record"].encode()) if document else None


def _document(record: Record, keep_until: float) -> Document:
    return {
        "_id": record.id,
        "record": record.encode().decode(),
        "expires_at": _date(record.expires_at),
        "delete_at": _date(max(record.expires_at, keep_until)),
    }


def _expired() -> Document:
    return {"expires_at": {"$lte": datetime.now(UTC)}}


def _date(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
