"""A server that is frozen or killed while many writes share an exchange: each caller gets its own answer in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from common.errors import StoreUnavailable
from common.jobs import Record
from common.settings import StoreSettings
from common.store import Store
from stack.process import Process
from tests.contract.clients import completed
from tests.waiting import eventually

TIMEOUT_S = 0.7
KEEP_S = 60


@pytest.fixture
async def impatient(own_mongodb: Process) -> AsyncIterator[Store]:
    """A client that batches, of a server that may be frozen and killed."""
    async with _batching(own_mongodb, TIMEOUT_S) as store:
        await eventually(lambda: _answers(store))
        yield store


@pytest.fixture
async def patient(own_mongodb: Process) -> AsyncIterator[Store]:
    """The same with all the time that a busy machine needs."""
    async with _batching(own_mongodb, 20) as store:
        await eventually(lambda: _answers(store))
        yield store


@pytest.fixture
async def collection(own_mongodb: Process) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](own_mongodb.program.url) as client:
        yield client["gpt_jobs"]["results"]


async def save(store: Store, record: Record) -> Record:
    return await store.save(record, keep_until=time.time() + KEEP_S)


async def test_each_waits_its_own_time_for_a_frozen_server(impatient: Store, own_mongodb: Process) -> None:
    own_mongodb.freeze()
    try:
        first = asyncio.ensure_future(_seconds_until_unavailable(impatient))
        await asyncio.sleep(TIMEOUT_S / 2)
        second = asyncio.ensure_future(_seconds_until_unavailable(impatient))
        waited = await asyncio.gather(first, second)
    finally:
        own_mongodb.thaw()
    assert all(TIMEOUT_S - 0.1 < seconds < TIMEOUT_S + 0.5 for seconds in waited)
    await eventually(lambda: _answers(impatient))
    assert await save(impatient, record := completed()) is record


async def test_a_server_that_wakes_in_time_has_saved_all(
    patient: Store, own_mongodb: Process, collection: AsyncCollection[dict[str, Any]]
) -> None:
    records = [completed() for _ in range(100)]
    own_mongodb.freeze()
    try:
        calls = [asyncio.ensure_future(save(patient, record)) for record in records[:50]]
        # One batch is under way when the others come.
        await asyncio.sleep(0.1)
        calls += [asyncio.ensure_future(save(patient, record)) for record in records[50:]]
    finally:
        own_mongodb.thaw()
    assert await asyncio.gather(*calls) == records
    assert await collection.count_documents({"_id": {"$in": [record.id for record in records]}}) == 100


async def test_while_it_counts_as_away_callers_fail_at_once(impatient: Store, own_mongodb: Process) -> None:
    own_mongodb.freeze()
    try:
        await asyncio.gather(*(save(impatient, completed()) for _ in range(5)), return_exceptions=True)
        assert impatient.is_away
        waited = await asyncio.gather(*(_seconds_until_unavailable(impatient) for _ in range(50)))
        # One of them may be the one that tries.
        assert sum(seconds < 0.2 for seconds in waited) >= 49
    finally:
        own_mongodb.thaw()
    await eventually(lambda: _answers(impatient))
    assert not impatient.is_away


async def test_what_was_acknowledged_is_there_after_the_server_is_killed(
    patient: Store, own_mongodb: Process, collection: AsyncCollection[dict[str, Any]]
) -> None:
    records = [completed() for _ in range(400)]
    acknowledged: list[str] = []
    some = asyncio.Event()

    async def save_one_after_the_other(own: list[Record]) -> None:
        for record in own:
            acknowledged.append((await save(patient, record)).id)
            if len(acknowledged) > 40:
                some.set()

    callers = [asyncio.ensure_future(save_one_after_the_other(records[n::20])) for n in range(20)]
    await some.wait()
    own_mongodb.kill()
    own_mongodb.start()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert await collection.count_documents({"_id": {"$in": acknowledged}}) == len(acknowledged)
    await eventually(lambda: _answers(patient), 30)
    assert await save(patient, record := completed()) is record


async def test_who_stands_in_line_when_it_is_closed_is_told(impatient: Store, own_mongodb: Process) -> None:
    own_mongodb.freeze()
    try:
        calls = [asyncio.ensure_future(save(impatient, completed())) for _ in range(1_500)]
        await asyncio.sleep(0.05)
        await impatient.aclose()
        results = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        own_mongodb.thaw()
    assert all(isinstance(result, StoreUnavailable) for result in results)


def _batching(server: Process, timeout_s: float) -> aclosing[Store]:
    settings = {"mongo_url": server.program.url, "store_timeout_s": timeout_s, "store_batching": True}
    return aclosing(Store(StoreSettings.model_validate(settings)))


async def _answers(store: Store) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


async def _seconds_until_unavailable(store: Store) -> float:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await save(store, completed())
    return time.monotonic() - began
