"""A document that was erased says that its job was deleted, and no save ever replaces it."""

import time

import motor.motor_asyncio
import pytest

from common.errors import JobDeleted
from common.jobs import Record, Status
from common.store import Store
from tests.contract.clients import completed, queued, with_status
from tests.deployment import Place
from tests.waiting import eventually


def later() -> float:
    return time.time() + 60


@pytest.fixture(params=["nothing", "in_progress", "completed"])
async def record(store: Store, request: pytest.FixtureRequest) -> Record:
    """A job of which this is in the store."""
    waits = queued()
    if request.param == "in_progress":
        await store.begin(with_status(waits, Status.IN_PROGRESS), later())
    elif request.param == "completed":
        await store.save(completed(waits.id, "a secret"), later())
    return waits


async def test_nothing_is_left_of_the_record(store: Store, place: Place, record: Record) -> None:
    await store.erase(record.id, later())
    await store.erase(record.id, later())
    client: motor.motor_asyncio.AsyncIOMotorClient[dict[str, object]] = motor.motor_asyncio.AsyncIOMotorClient(
        place.environment["MONGO_URL"]
    )
    document = await client.get_default_database()["results"].find_one({"_id": record.id})
    client.close()
    assert document is not None
    assert set(document) == {"_id", "deleted", "delete_at"}
    with pytest.raises(JobDeleted):
        await store.find(record.id)


async def test_what_comes_later_is_not_saved(store: Store, record: Record) -> None:
    await store.erase(record.id, later())
    with pytest.raises(JobDeleted):
        await store.begin(record.started(7, "a-model"), later())
    with pytest.raises(JobDeleted):
        await store.save(completed(record.id), later())
    assert not await store.start_over(completed(record.id), record)
    with pytest.raises(JobDeleted):
        await store.find(record.id)


async def test_the_store_forgets_it_in_the_end(store: Store, record: Record) -> None:
    await store.erase(record.id, time.time() - 1)

    async def forgotten() -> bool:
        try:
            return await store.find(record.id) is None
        except JobDeleted:
            return False

    await eventually(forgotten)
