"""What a client that follows a job is told, and by which numbers it can go on after a drop.

An event's id says what the client has when it has read that event: which attempt, and how many characters of its
text. So any reader can go on from any id, without having kept what was sent, for as long as the record lives.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from common.errors import InvalidRequest
from common.jobs import Record, Status

#: Ids of one attempt. A text has at most 2,000,000 characters, so that the last number is the end's alone.
PER_ATTEMPT = 10_000_000
END = PER_ATTEMPT - 1
#: That the job waits is the first event, before any attempt.
QUEUED_ID = 1


@dataclass(frozen=True)
class Event:
    """One event; `data` is JSON."""

    id: int
    name: str
    data: bytes

    def as_server_sent(self) -> bytes:
        """Its form in a stream (WHATWG HTML, section 9.2)."""
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.id, self.name.encode(), self.data)

    def as_json(self) -> bytes:
        return b'{"id":%d,"event":"%s","data":%s}' % (self.id, self.name.encode(), self.data)


@dataclass(frozen=True)
class Seen:
    """How far a job has come: a record, or what has been announced of one since; `text` is what its attempt wrote."""

    record: Record
    attempt: int
    text: str

    @classmethod
    def of(cls, record: Record) -> "Seen":
        return cls(record, record.attempt, record.output_text or "")

    @property
    def last_id(self) -> int:
        """The id of the last event that could have been sent by now."""
        if self.record.status is Status.QUEUED and not self.attempt:
            return QUEUED_ID
        return self.attempt * PER_ATTEMPT + (END if self.record.is_terminal else len(self.text))


def due(after: int, seen: Seen) -> Iterator[Event]:
    """The events that come after the one with that id."""
    attempt, offset = divmod(after, PER_ATTEMPT)
    if seen.last_id <= after:
        return
    if seen.last_id == QUEUED_ID:
        yield Event(QUEUED_ID, "status", _status(Status.QUEUED, 0, _queue(seen.record)))
        return
    if seen.attempt > attempt:
        offset = 0
        yield Event(seen.attempt * PER_ATTEMPT, "status", _status(Status.IN_PROGRESS, seen.attempt))
    if offset < len(seen.text):
        text = orjson.dumps({"text": seen.text[offset:]})
        yield Event(seen.attempt * PER_ATTEMPT + len(seen.text), "delta", text)
    if seen.record.is_terminal:
        yield Event(seen.last_id, seen.record.status, seen.record.encode())


def check_sent(after: int, seen: Seen, param: str) -> None:
    """Raises InvalidRequest if no event can have had that id."""
    attempt, offset = divmod(after, PER_ATTEMPT)
    is_first = after in (0, QUEUED_ID)
    is_of_this = attempt == seen.attempt and (offset <= len(seen.text) or after == seen.last_id)
    is_of_earlier = 0 < attempt < seen.attempt and offset < END
    if not (is_first or is_of_this or is_of_earlier):
        raise InvalidRequest("no event of this job had this id", param)


def _status(status: Status, attempt: int, more: dict[str, Any] | None = None) -> bytes:
    return orjson.dumps({"status": status, "attempt": attempt, **(more or {})})


def _queue(record: Record) -> dict[str, Any]:
    """The place in line, where it is known."""
    return {} if record.queue is None else {"queue": record.queue.model_dump()}
