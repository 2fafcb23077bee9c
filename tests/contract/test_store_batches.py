"""Many writes in one exchange: each caller gets its own result, and none is harmed by another."""

import asyncio
import time

from pymongo.errors import DocumentTooLarge

from common.jobs import Record
from common.store import Store
from tests.contract.clients import NewStore, completed, queued

KEEP_S = 60
MEGABYTE = "a" * 1_000_000


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


async def test_of_attempts_that_begin_at_once_each_waits_for_the_one_before(store: Store) -> None:
    record = queued()
    assert all(await asyncio.gather(*(begin(store, record.started(n, "a-model")) for n in range(1, 6))))
    there = await store.find(record.id)
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
