"""How MongoDB is reached: one client, and the collection `results` as it is written to."""

from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import WriteConcern
from pymongo.errors import ConnectionFailure, PyMongoError

from common.lifecycle import CannotStart
from common.store.documents import Document

DEFAULT_DATABASE = "gpt_jobs"
COLLECTION = "results"

#: The errors of calls that got no answer.
LOST = (ConnectionFailure, OSError, TimeoutError)

Client = AsyncIOMotorClient[Document]
Collection = AsyncIOMotorCollection[Document]


class Collections:
    """The collection `results`, by how soon a write to it is acknowledged."""

    def __init__(self, client: Client) -> None:
        database = client.get_default_database(DEFAULT_DATABASE)
        #: A record that was acknowledged must survive the loss of the primary and of its memory.
        self.lasting: Collection = database.get_collection(
            COLLECTION, write_concern=WriteConcern(w="majority", j=True)
        )
        self.fleeting: Collection = database.get_collection(COLLECTION, write_concern=WriteConcern(w=1))

    def for_(self, *, must_last: bool) -> Collection:
        return self.lasting if must_last else self.fleeting


def new_client(url: str, timeout_s: float) -> Any:
    """A client of which no connection is there yet."""
    milliseconds = int(timeout_s * 1000)
    try:
        return AsyncIOMotorClient(
            url,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            timeoutMS=milliseconds,
            tz_aware=True,
        )
    except (PyMongoError, ValueError) as error:
        raise CannotStart("MONGO_URL is not one that the driver of MongoDB understands") from error
