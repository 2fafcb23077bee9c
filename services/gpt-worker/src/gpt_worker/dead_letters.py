"""What a message in the dead-letter queue tells its operator, and how it goes back onto the job queue."""

import hashlib
import time
from dataclasses import dataclass, replace
from functools import cached_property

from common import messages
from common.broker import Delivery
from common.messages import InvalidMessage, JobMessage, Message

#: Where the broker itself writes why it has given up a message, if a policy sends those here too.
BROKERS_REASON_HEADER = "x-first-death-reason"

# What was true of the last life only. The broker's own headers begin anew with each publishing.
_OF_THE_LAST_LIFE = frozenset(
    {
        messages.REASON_HEADER,
        messages.REASON_TEXT_HEADER,
        messages.DEAD_SINCE_HEADER,
        messages.ATTEMPT_HEADER,
        messages.DEADLINE_HEADER,
        "x-delivery-count",
        "x-acquired-count",
    }
)
_OF_THE_BROKER = ("x-first-death-", "x-last-death-")


@dataclass(frozen=True)
class Summary:
    """A line of the list. `age_s` is None where nothing tells it."""

    id: str
    code: str
    attempts: int
    age_s: int | None
    size: int
    reason: str


class DeadLetter:
    """A message in the dead-letter queue that is in our hands."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.message = delivery.message
        self.job: JobMessage | None = None
        self.job_id: str | None = None
        try:
            self.job = messages.decode(self.message)
            self.job_id = self.job.job_id
        except InvalidMessage as invalid:
            self.job_id = invalid.job_id
        except RecursionError:
            # Such a body is a dead letter because it broke the worker too.
            self.job_id = None

    @cached_property
    def id(self) -> str:
        """The job's id; or `@` and a hash of the message, which no job's id can be."""
        if self.job_id is not None:
            return self.job_id
        return "@" + hashlib.sha256(f"{self.message.message_id} ".encode() + self.message.body).hexdigest()[:12]

    @property
    def code(self) -> str:
        """Why it lies there; `unknown` if whoever put it there has not said."""
        headers = self.message.headers
        return str(headers.get(messages.REASON_HEADER) or headers.get(BROKERS_REASON_HEADER) or "unknown")

    def summary(self) -> Summary:
        """What the list says of it."""
        headers = self.message.headers
        since = headers.get(messages.DEAD_SINCE_HEADER)
        known = since if isinstance(since, int) else self.message.timestamp
        return Summary(
            id=self.id,
            code=self.code,
            attempts=messages.attempts_before(self.message),
            age_s=None if known is None else max(0, int(time.time() - known)),
            size=len(self.message.body),
            reason=str(headers.get(messages.REASON_TEXT_HEADER) or ""),
        )


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant: those with one of the ids, or with the code; or all."""

    ids: frozenset[str] = frozenset()
    code: str | None = None

    def __contains__(self, letter: DeadLetter) -> bool:
        if self.ids:
            return letter.id in self.ids
        return self.code is None or letter.code == self.code

    def __str__(self) -> str:
        if self.ids:
            return f"those with {len(self.ids)} ids" if len(self.ids) > 1 else "".join(self.ids)
        return "all" if self.code is None else f"those with {self.code}"


def for_replay(message: Message, now: float) -> Message:
    """The message as it was published first, with a time and with attempts that begin now."""
    headers = {
        name: value
        for name, value in message.headers.items()
        if name not in _OF_THE_LAST_LIFE and not name.startswith(_OF_THE_BROKER)
    }
    return replace(message, headers={**headers, messages.REPLAYED_AT_HEADER: int(now)})
