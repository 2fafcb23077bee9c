"""MongoDB: the one place that imports motor. Its exceptions never leave this module.

motor is at the end of its life; PyMongo's own asynchronous client has the same calls, so that moving to it
is a change of this file.

A document of the collection `results`: `_id` (the job's id), `record` (the record's JSON), `expires_at`
(until when it may be read) and `delete_at` (when the TTL index removes it; never before `expires_at`). That of a
job which has begun and is not terminal has `attempt` too, and gives way to any later one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

from common.breaker import Away, Breaker
from common.errors import StoreUnavailable
from common.jobs import Record
from common.lifecycle import CannotStart
from common.settings import StoreSettings
from common.timeouts import answered_within

DEFAULT_DATABASE = "gpt_jobs"
COLLECTION = "results"

log = structlog.get_logger()


class Store:
    """Records of jobs that have begun. A terminal one is written once and read until it expires."""

    def __init__(self, settings: StoreSettings) -> None:
        self._timeout_s = settings.store_timeout_s
        self._breaker = Breaker("store", (ConnectionFailure, OSError, TimeoutError))
        milliseconds = int(self._timeout_s * 1000)
        try:
            self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
                settings.mongo_url.get_secret_value(),
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                timeoutMS=milliseconds,
                tz_aware=True,
            )
        except (PyMongoError, ValueError) as error:
            raise CannotStart("MONGO_URL is not one that the driver of MongoDB understands") from error
        database = self._client.get_default_database(DEFAULT_DATABASE)
        # A record that was acknowledged must survive the loss of the primary and of its memory.
        self._results = database.get_collection(COLLECTION, write_concern=WriteConcern(w="majority", j=True))
        # What is lost of these is told by the cache, and written again by the next attempt.
        self._begun = database.get_collection(COLLECTION, write_concern=WriteConcern(w=1))

    async def prepare(self) -> None:
        """Make the index that deletes what has expired; does nothing if it is there."""
        async with self._deadline():
            await self._results.create_index("delete_at", name="delete_at", expireAfterSeconds=0)

    async def begin(self, started: Record, keep_until: float) -> bool:
        """Save the record of a job that runs, unless the store knows of a later attempt or of the end.

        Says whether there is no end yet. The document stays until `keep_until` (Unix seconds), so that no poll
        takes the job for one that waits.
        """
        document = {**_document(started, keep_until), "attempt": started.attempt}
        async with self._deadline():
            try:
                earlier = {"attempt": {"$lte": started.attempt}}
                await self._begun.replace_one(
                    _of(started, earlier, {**_expired(), "attempt": {"$exists": False}}), document, upsert=True
                )
            except DuplicateKeyError:
                return not (await self._existing(started)).is_terminal
        return True

    async def save(self, record: Record, keep_until: float) -> Record:
        """Save a terminal record unless there is one already; returns the one that counts.

        It can be read until its `expires_at`; the document stays until `keep_until` (Unix seconds) if that
        is later, so that the job is known to have expired for as long as its id alone cannot tell.
        """
        async with self._deadline():
            try:
                # The filter lets a record that is not terminal, or has expired, be replaced, and no other.
                begun = {"attempt": {"$exists": True}}
                await self._results.replace_one(
                    _of(record, begun, _expired()), _document(record, keep_until), upsert=True
                )
            except DuplicateKeyError:
                return await self._existing(record)
        return record

    async def find(self, job_id: str) -> Record | None:
        """The record of a job that has begun, even if it has expired and is not deleted yet."""
        async with self._deadline():
            document = await self._results.find_one({"_id": job_id})
        return Record.decode(document["record"].encode()) if document else None

    async def start_over(self, known: Record, queued: Record) -> bool:
        """Write the queued record over exactly the `known` one, and say whether that was there.

        For an operator who has a failed job tried again; everybody else goes forward only.
        """
        document = {**_document(queued, queued.expires_at), "attempt": queued.attempt}
        of = {"_id": known.id, "record": known.encode().decode()}
        async with self._deadline():
            written = await self._results.replace_one(of, document)
        return written.matched_count == 1

    @property
    def is_away(self) -> bool:
        """Whether it has not answered for some time, and is not only slow."""
        return self._breaker.is_away

    async def ping(self) -> None:
        """Return if the store answers; raises StoreUnavailable. Always asks, also one that counts as away."""
        async with self._deadline(always=True):
            await self._client.admin.command("ping")

    async def aclose(self) -> None:
        """Close all connections."""
        self._client.close()

    async def _existing(self, record: Record) -> Record:
        document = await self._results.find_one({"_id": record.id})
        return Record.decode(document["record"].encode()) if document else record

    @asynccontextmanager
    async def _deadline(self, *, always: bool = False) -> AsyncIterator[None]:
        try:
            with self._breaker.watching(always=always):
                async with answered_within(self._timeout_s):
                    yield
        except (PyMongoError, OSError, TimeoutError, Away) as error:
            raise StoreUnavailable from error


def _document(record: Record, keep_until: float) -> dict[str, Any]:
    return {
        "_id": record.id,
        "record": record.encode().decode(),
        "expires_at": _date(record.expires_at),
        "delete_at": _date(max(record.expires_at, keep_until)),
    }


def _of(record: Record, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"_id": record.id, "$or": list(conditions)}


def _expired() -> dict[str, Any]:
    return {"expires_at": {"$lte": datetime.now(UTC)}}


def _date(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
