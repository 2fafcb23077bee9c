"""Conversations, as MongoDB keeps them: each completed job has its own turn and knows whom it follows."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from common.jobs import Record
from common.store.connecting import COLLECTION, Collection
from common.store.documents import Document
from common.turns import Said

#: The turns of a conversation that are looked up: if all are of the largest, which it seems to hold twice, the
#: server still keeps below the 100 MB that it allows a look-up.
MOST_TURNS = 100
#: Bytes of a turn beyond which a conversation is continued without it, and so without what came before it.
LARGEST_TURN = 400_000


class Standing(Enum):
    """Whether a job can be continued."""

    UNKNOWN = "unknown"
    UNFINISHED = "unfinished"
    #: It has no answer and never will, or is no longer kept.
    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True)
class Earlier:
    """An earlier turn. Without an answer it was more than was asked for, and only its system messages are there."""

    messages: list[Said]
    answer: str | None


@dataclass(frozen=True)
class Conversation:
    """What led to a job, itself included: the newest turn first."""

    standing: Standing
    turns: list[Earlier]


class Conversations:
    """Reads conversations; they are written with the records."""

    def __init__(self, results: Collection, deadline: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._results = results
        self._deadline = deadline

    async def until(self, job_id: str, most_bytes: int) -> Conversation:
        """The conversation that ends with the job, in one query; of turns beyond `most_bytes` only what is system."""
        now = datetime.now(UTC)
        async with self._deadline():
            rows = [row async for row in self._results.aggregate(_pipeline(job_id, most_bytes, now))]
        if not rows:
            return Conversation(Standing.UNKNOWN, [])
        standing = _standing(rows[0], now)
        turns = [_earlier(row) for row in rows if "messages" in row] if standing is Standing.OPEN else []
        return Conversation(standing, turns)

    async def is_open(self, job_id: str) -> bool:
        """Whether the job can be continued, although its record may have expired."""
        async with self._deadline():
            of = {"_id": job_id, "turn.until": {"$gt": datetime.now(UTC)}}
            return await self._results.find_one(of, {"_id": 1}) is not None


def _pipeline(job_id: str, most_bytes: int, now: datetime) -> list[Document]:
    fits = {"$lte": ["$read", most_bytes]}
    system_only = {"$filter": {"input": "$earlier.turn.messages", "cond": {"$eq": ["$$this.role", "system"]}}}
    return [
        {"$match": {"_id": job_id}},
        {
            "$graphLookup": {
                "from": COLLECTION,
                "startWith": "$_id",
                "connectFromField": "turn.parent_id",
                "connectToField": "_id",
                "as": "earlier",
                "maxDepth": MOST_TURNS - 1,
                "depthField": "depth",
                "restrictSearchWithMatch": {"turn.until": {"$gt": now}, "turn.size": {"$lte": LARGEST_TURN}},
            }
        },
        # At once after the look-up, or all turns would have to fit into one document.
        {"$unwind": {"path": "$earlier", "preserveNullAndEmptyArrays": True}},
        {"$project": {"attempt": 1, "until": "$turn.until", "earlier": 1}},
        {
            "$setWindowFields": {
                "sortBy": {"earlier.depth": 1},
                "output": {"read": {"$sum": "$earlier.turn.size", "window": {"documents": ["unbounded", "current"]}}},
            }
        },
        {
            "$project": {
                "attempt": 1,
                "until": 1,
                "messages": {"$cond": [fits, "$earlier.turn.messages", system_only]},
                "record": {"$cond": [fits, "$earlier.record", "$$REMOVE"]},
            }
        },
    ]


def _standing(row: Document, now: datetime) -> Standing:
    if "attempt" in row:
        return Standing.UNFINISHED
    until = row.get("until")
    return Standing.OPEN if until is not None and until > now else Standing.CLOSED


def _earlier(row: dict[str, Any]) -> Earlier:
    answer = Record.decode(row["record"].encode()).output_text if "record" in row else None
    return Earlier([Said.model_validate(message) for message in row["messages"]], answer)
