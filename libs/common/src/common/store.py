"""MongoDB: the one place that imports motor. Its exceptions never leave this module.

motor is at the end of its life; PyMongo's own asynchronous client has the same calls, so that moving to it
is a change of this file.

A document of the collection `results`: `_id` (the job's id), `record` (the record's JSON), `expires_at`
(until when it may be read) and `delete_at` (when the TTL index removes it; never before `expires_at`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError

from common.errors import StoreUnavailable
from common.jobs import Record
from common.lifecycle import CannotStart
from common.settings import StoreSettings

DEFAULT_DATABASE = "gpt_jobs"
COLLECTION = "results"

log = structlog.get_logger()


class Store:
    """Terminal records, which are written once and read until they expire."""

    def __init__(self, settings: StoreSettings) -> None:
        self._timeout_s = settings.store_timeout_s
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

    async def prepare(self) -> None:
        """Make the index that deletes what has expired; does nothing if it is there."""
        async with self._deadline():
            await self._results.create_index("delete_at", name="delete_at", expireAfterSeconds=0)

    async def save(self, record: Record, keep_until: float) -> Record:
        """Save a terminal record unless there is one already; returns the one that counts.

        It can be read until its `expires_at`; the document stays until `keep_until` (Unix seconds) if that
        is later, so that the job is known to have expired for as long as its id alone cannot tell.
        """
        document = {
            "_id": record.id,
            "record": record.encode().decode(),
            "expires_at": _date(record.expires_at),
            "delete_at": _date(max(record.expires_at, keep_until)),
        }
        async with self._deadline():
            try:
                # The filter lets an expired record of the same id be replaced, and no other.
                await self._results.replace_one(
                    {"_id": record.id, "expires_at": {"$lte": datetime.now(UTC)}}, document, upsert=True
                )
            except DuplicateKeyError:
                return await self._existing(record)
        return record

    async def find(self, job_id: str) -> Record | None:
        """The terminal record of a job, even if it has expired and is not deleted yet."""
        async with self._deadline():
            document = await self._results.find_one({"_id": job_id})
        return Record.decode(document["record"].encode()) if document else None

    async def forget(self, record: Record) -> bool:
        """Remove exactly this record, and say whether it was there: for an operator who has a failed job tried again.

        Another record of the same id stays.
        """
        async with self._deadline():
            removed = await self._results.delete_one({"_id": record.id, "record": record.encode().decode()})
        return removed.deleted_count == 1

    async def ping(self) -> None:
        """Return if the store answers; raises StoreUnavailable."""
        async with self._deadline():
            await self._client.admin.command("ping")

    async def aclose(self) -> None:
        """Close all connections."""
        self._client.close()

    async def _existing(self, record: Record) -> Record:
        document = await self._results.find_one({"_id": record.id})
        return Record.decode(document["record"].encode()) if document else record

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except (PyMongoError, OSError, TimeoutError) as error:
            raise StoreUnavailable from error


def _date(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
