"""What only the store promises: terminal records are found by their id, and delete themselves, not too early."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from common.jobs import Record
from common.store import Store
from tests.contract.clients import NewStore, completed, job_id
from tests.deployment import Place
from tests.waiting import eventually

Collection = AsyncCollection[dict[str, Any]]


@pytest.fixture
async def collection(place: Place) -> AsyncIterator[Collection]:
    """The store's documents, seen with another client than ours."""
    async with AsyncMongoClient[dict[str, Any]](place.environment["MONGO_URL"], tz_aware=True) as client:
        yield client.get_default_database()["results"]


def expired(of: str | None = None, text: str = "an answer") -> Record:
    return completed(of, text).model_copy(update={"expires_at": int(time.time()) - 1})


async def test_the_index_that_deletes_is_on_delete_at(store: Store, collection: Collection) -> None:
    await store.prepare()
    indexes = await collection.index_information()
    assert set(indexes) == {"_id_", "delete_at"}
    assert indexes["delete_at"]["key"] == [("delete_at", 1)]
    assert indexes["delete_at"]["expireAfterSeconds"] == 0


async def test_a_document_has_the_record_and_its_two_ends(store: Store, collection: Collection) -> None:
    record = completed()
    await store.save(record, keep_until=record.expires_at + 100)
    document = await collection.find_one({"_id": record.id})
    assert document == {
        "_id": record.id,
        "record": record.encode().decode(),
        "expires_at": datetime.fromtimestamp(record.expires_at, UTC),
        "delete_at": datetime.fromtimestamp(record.expires_at + 100, UTC),
    }


async def test_a_document_is_never_deleted_before_it_may_not_be_read_any_more(
    store: Store, collection: Collection
) -> None:
    record = completed()
    await store.save(record, keep_until=0)
    document = await collection.find_one({"_id": record.id})
    assert document is not None
    assert document["delete_at"] == document["expires_at"]


async def test_a_document_is_deleted_when_its_time_is_over(store: Store, collection: Collection) -> None:
    short, long = expired(), completed()
    await store.save(long, keep_until=0)
    await store.save(short, keep_until=0)

    async def gone() -> bool:
        return await collection.find_one({"_id": short.id}) is None

    await eventually(gone)
    assert await store.find(long.id) == long


async def test_an_expired_record_is_known_until_it_is_deleted(store: Store) -> None:
    record = expired()
    await store.save(record, keep_until=time.time() + 60)
    assert await store.find(record.id) == record


async def test_an_expired_record_can_be_replaced_once(store: Store) -> None:
    old, new, third = expired(same := job_id()), completed(same, "new"), completed(same, "third")
    await store.save(old, keep_until=time.time() + 60)
    assert await store.save(new, keep_until=0) is new
    assert await store.save(third, keep_until=0) == new
    assert await store.find(same) == new


async def test_saving_says_which_record_counts(store: Store, new_store: NewStore) -> None:
    first = completed(text="first")
    assert await store.save(first, keep_until=0) is first
    second = completed(first.id, "second")
    assert await (await new_store()).save(second, keep_until=0) == first


async def test_a_look_up_scans_nothing(store: Store, collection: Collection) -> None:
    records = [completed() for _ in range(50)]
    for record in records:
        await store.save(record, keep_until=0)
    database = collection.database
    await database.command("profile", 2)
    await store.find(records[17].id)
    await store.find(job_id())
    await database.command("profile", 0)
    queries = await database["system.profile"].find({"ns": collection.full_name, "op": "query"}).to_list()
    assert [query["docsExamined"] for query in queries] == [1, 0]
    assert all(query["planSummary"] in ("IDHACK", "EXPRESS") or "_id" in query["planSummary"] for query in queries)


async def test_a_database_that_is_not_named_is_ours(new_store: NewStore, place: Place) -> None:
    url = place.environment["MONGO_URL"].rpartition("/")[0]
    record = completed()
    await (await new_store(url)).save(record, keep_until=0)
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        assert await client["gpt_jobs"]["results"].count_documents({"_id": record.id}) == 1
