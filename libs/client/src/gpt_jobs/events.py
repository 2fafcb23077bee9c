"""What happens to a job, as events; and how they are read from server-sent events and from JSON."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gpt_jobs.jobs import TERMINAL, Job, QueuePlace


@dataclass(frozen=True)
class Waiting:
    """The job waits; `queue` says where, if that is known."""

    id: int
    queue: QueuePlace | None


@dataclass(frozen=True)
class Started:
    """An attempt has begun, and its text begins with it: what an earlier attempt had written counts no more."""

    id: int
    attempt: int


@dataclass(frozen=True)
class Delta:
    """A further piece of the text."""

    id: int
    text: str


@dataclass(frozen=True)
class Ended:
    """The job is completed, failed or cancelled; nothing comes after this."""

    id: int
    job: Job


Event = Waiting | Started | Delta | Ended


def read_event(number: int, kind: str, data: dict[str, Any]) -> Event | None:
    """The event, or None for one that this client does not know; raises KeyError, TypeError, ValueError."""
    if kind == "delta":
        return Delta(number, data["text"])
    if kind in TERMINAL:
        return Ended(number, Job.read(data))
    if kind == "status" and data["status"] == "in_progress":
        return Started(number, data["attempt"])
    if kind == "status":
        queue = data.get("queue")
        return Waiting(number, queue and QueuePlace.read(queue))
    return None


class ServerSentEvents:
    """Puts server-sent events together from the pieces in which they come."""

    def __init__(self) -> None:
        self._unfinished = b""
        self._fields: dict[str, str] = {}

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that are complete with this piece; raises KeyError, TypeError, ValueError."""
        *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode())
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            # A line without a name is a comment, which keeps proxies awake. A text in several lines is one.
            before = self._fields.get("data") if name == "data" else None
            self._fields[name] = value if before is None else f"{before}\n{value}"
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        return read_event(int(fields["id"]), fields.get("event", ""), json.loads(fields["data"]))
