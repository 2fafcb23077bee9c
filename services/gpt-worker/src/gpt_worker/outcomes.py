"""The one table: what became of a delivery, and what is therefore done, in this order, with its message.

send_to     the message is published to another queue, and the broker has confirmed it; first of all, since a worker
            may die between two steps, and what reads `failed` would have no dead letter
save        the terminal record goes into the store, then into the cache (which wakes those who wait); if the store
            is away, into the cache, and by way of a wait queue into the store later
erase       what the attempt may have written to the cache since the job was deleted goes too
reply       the terminal record is published to the message's `reply_to`, if it has one
release     the lease is given up, so that any worker may take the job
then        the delivery is acknowledged, or given back to the queue
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from common.cache import Lease
from common.jobs import Record
from common.messages import HeaderValue
from common.turns import Turn


class Outcome(StrEnum):
    """What became of a delivery."""

    COMPLETED = "completed"
    FAILED = "failed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    EXHAUSTED = "exhausted"
    INVALID = "invalid"
    CANCELLED = "cancelled"
    ALREADY_FINISHED = "already_finished"
    WITHDRAWN = "withdrawn"
    DELETED = "deleted"
    LEASED = "leased"
    EARLY = "early"
    TRANSIENT = "transient"
    POSTPONED = "postponed"
    RENEWED = "renewed"
    INTERRUPTED = "interrupted"
    BROKEN = "broken"


class Destination(Enum):
    """Where a message goes on to."""

    JOBS = "jobs"
    WAIT = "wait"
    DEAD = "dead"


class Then(Enum):
    """How a delivery is settled."""

    ACKNOWLEDGE = "acknowledge"
    GIVE_BACK = "give_back"


@dataclass(frozen=True)
class Action:
    """What is done, in the order of the fields."""

    send_to: Destination | None = None
    save: bool = False
    erase: bool = False
    reply: bool = False
    release: bool = False
    then: Then = Then.ACKNOWLEDGE


ACTIONS: dict[Outcome, Action] = {
    Outcome.COMPLETED: Action(save=True, reply=True),
    Outcome.FAILED: Action(save=True, reply=True),
    Outcome.DEADLINE_EXCEEDED: Action(save=True, reply=True),
    Outcome.EXHAUSTED: Action(send_to=Destination.DEAD, save=True, reply=True),
    Outcome.INVALID: Action(send_to=Destination.DEAD, save=True, reply=True),
    Outcome.CANCELLED: Action(save=True, reply=True),
    # Saved once more, since a worker may have died between the store and the cache; the first record stays.
    Outcome.ALREADY_FINISHED: Action(save=True, reply=True),
    # The broker has it, although the gateway heard nothing from it and told the client so.
    Outcome.WITHDRAWN: Action(),
    # Nothing of it is to be left.
    Outcome.DELETED: Action(erase=True),
    Outcome.LEASED: Action(send_to=Destination.WAIT),
    Outcome.EARLY: Action(send_to=Destination.WAIT),
    Outcome.TRANSIENT: Action(send_to=Destination.WAIT, release=True),
    # The store, which alone knows whether the job is finished, is away; or has only now told that it is.
    Outcome.POSTPONED: Action(send_to=Destination.WAIT, release=True),
    # It came back so often that the broker would soon drop it; a new message begins to count anew.
    Outcome.RENEWED: Action(send_to=Destination.JOBS),
    Outcome.INTERRUPTED: Action(release=True, then=Then.GIVE_BACK),
    Outcome.BROKEN: Action(send_to=Destination.DEAD, save=True, reply=True),
}


@dataclass(frozen=True)
class Result:
    """An outcome with what its action needs.

    `record` is the terminal record, or of a deleted job the one of the attempt that ran, and `turn` what a completed
    one adds to its conversation; `headers` are set on the message when it goes on to another queue, where it waits
    for `delay_s` seconds if that is a wait queue; `lease` is the one that was asked for, whether it was got or not,
    and `was_attempted` says whether an attempt was begun under it; `begun_at` is when the job was accepted, or
    replayed, if that could be read.
    """

    outcome: Outcome
    job_id: str | None = None
    record: Record | None = None
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    delay_s: float = 0
    lease: Lease | None = None
    was_attempted: bool = False
    begun_at: float | None = None
    turn: Turn | None = None
