"""Many writes in one exchange: each caller gets its own result, and none is harmed by another."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DocumentTooLarge

from common.errors import StoreUnavailable
from common.jobs import Record
from common.settings import StoreSettings
from common.store import Store
from stack import ports, servers
from stack.process import Process
from tests.contract.clients import NewStore, completed, queued
from tests.waiting import eventually

TIMEOUT_S = 0.7
KEEP_S = 60
MEGABYTE = "a" * 1_000_000


@pytest.fixture(scope="module", name="own_mongodb")
def running_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that only these tests freeze and kill."""
    home: Path = tmp_path_factory.mktemp("own-mongodb")
    with Process(servers.mongodb(home / "mongodb", ports.free_port()), home / "mongodb.log") as process:
        yield process


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


async def begin(store: Store, record: Record) -> bool:
    return await store.begin(record, keep_until=time.time() + KEEP_S)


async def test_those_that_are_there_already_are_told_which_one_counts_and_the_others_are_saved(store: Store) -> None:
    firsts = [completed(text="first") for _ in range(100)]
    await asyncio.gather(*(save(store, first) for first in firsts[::3]))
    seconds = [completed(first.id, "second") for first in firsts]
    counting = await asyncio.gather(*(save(store, second) for second in seconds))
    expected = [
        first if n % 3 == 0 else second for n, (first, second) in enumerate(zip(firsts, seconds, strict=True))
    ]
    assert counting == expected
    assert await asyncio.gather(*(store.find(first.id) for first in firsts)) == expected


async def test_two_thousand_at_once(new_store: NewStore) -> None:
    store = await new_store(timeout_s=60)
    await store.prepare()
    records = [completed() for _ in range(2_000)]
    began = await asyncio.gather(*(begin(store, queued(record.id).started(1, "a-model")) for record in records))
    assert all(began)
    saved = await asyncio.gather(*(save(store, record) for record in records))
    assert all(one is other for one, other in zip(saved, records, strict=True))
    assert await asyncio.gather(*(store.find(record.id) for record in records)) == records


async def test_of_several_ends_of_one_job_one_counts_for_all(store: Store) -> None:
    ends = [completed("the-same-job", f"the end {n}") for n in range(20)]
    counting = await asyncio.gather(*(save(store, end) for end in ends))
    there = await store.find("the-same-job")
    assert there in ends
    assert counting == [there] * len(ends)


async def test_an_end_is_never_taken_for_a_beginning_that_comes_at_the_same_time(store: Store) -> None:
    ends = [completed() for _ in range(300)]
    beginnings = (begin(store, queued(end.id).started(1, "a-model")) for end in ends)
    results = await asyncio.gather(*beginnings, *(save(store, end) for end in ends))
    assert list(results[len(ends) :]) == ends
    assert await asyncio.gather(*(store.find(end.id) for end in ends)) == ends


async def test_of_attempts_that_begin_at_once_each_waits_for_the_one_before(patient: Store) -> None:
    record = queued()
    assert all(await asyncio.gather(*(begin(patient, record.started(n, "a-model")) for n in range(1, 6))))
    there = await patient.find(record.id)
    assert there is not None
    assert there.attempt == 5


async def test_one_that_is_too_large_fails_alone(new_store: NewStore) -> None:
    store = await new_store(timeout_s=20)
    await store.prepare()
    too_large = completed(text=MEGABYTE * 17)
    others = [completed() for _ in range(50)]
    calls = [save(store, record) for record in (*others[:25], too_large, *others[25:])]
    results = await asyncio.gather(*calls, return_exceptions=True)
    # Not StoreUnavailable: to try it again would not help.
    assert isinstance(results.pop(25), DocumentTooLarge)
    assert results == others
    assert await store.find(too_large.id) is None


async def test_many_large_ones_come_through(new_store: NewStore) -> None:
    store = await new_store(timeout_s=30)
    await store.prepare()
    records = [completed(text=MEGABYTE) for _ in range(20)]
    assert await asyncio.gather(*(save(store, record) for record in records)) == records
    assert await asyncio.gather(*(store.find(record.id) for record in records)) == records


async def test_a_caller_that_has_gone_harms_nobody(store: Store) -> None:
    records = [completed() for _ in range(90)]
    calls = [asyncio.ensure_future(save(store, record)) for record in records]
    # Some before they are in line, some after.
    for gone in calls[::3]:
        gone.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for gone in calls[1::3]:
        gone.cancel()
    assert await asyncio.gather(*calls[2::3]) == records[2::3]


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
