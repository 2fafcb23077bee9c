"""The store knows which jobs run, and gives that up for what comes later, and for nothing else."""

import time

import pytest

from common.jobs import Record
from common.store import Store
from tests.contract.clients import completed, queued

KEEP_S = 60


def started(attempt: int = 1, of: str | None = None) -> Record:
    return queued(of).started(attempt, "a-model")


async def begun(store: Store, record: Record) -> bool:
    return await store.begin(record, keep_until=time.time() + KEEP_S)


async def test_a_job_that_has_begun_is_found(store: Store) -> None:
    record = started()
    await begun(store, record)
    assert await store.find(record.id) == record


@pytest.mark.parametrize(("first", "second", "counts"), [(1, 2, 2), (2, 2, 2), (3, 2, 3)])
async def test_the_later_attempt_counts(store: Store, first: int, second: int, counts: int) -> None:
    record = started(first)
    assert await begun(store, record)
    assert await begun(store, started(second, record.id))
    found = await store.find(record.id)
    assert found is not None
    assert found.attempt == counts


async def test_the_end_replaces_it_and_is_replaced_by_nothing(store: Store) -> None:
    running = started()
    await begun(store, running)
    end = completed(running.id)
    assert await store.save(end, keep_until=time.time() + KEEP_S) is end
    assert not await begun(store, started(9, running.id))
    assert await store.save(completed(running.id, "another"), keep_until=0) == end
    assert await store.find(running.id) == end


async def test_an_expired_end_gives_way_to_a_new_life_of_the_id(store: Store) -> None:
    old = completed().model_copy(update={"expires_at": int(time.time()) - 1})
    await store.save(old, keep_until=time.time() + KEEP_S)
    again = started(1, old.id)
    assert await begun(store, again)
    assert await store.find(old.id) == again
    end = completed(old.id, "new")
    assert await store.save(end, keep_until=0) is end
