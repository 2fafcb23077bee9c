"""Which jobs have lost their message: those that are overdue while later ones were taken, or none is left."""

import asyncio

from common.cache import Cache, Claim, Lease
from common.jobs import Record
from tests.contract.clients import completed, queued
from tests.waiting import eventually

GRACE_S = 0.15


async def marked(cache: Cache) -> Record:
    record = queued()
    await cache.mark(record.id, record.encode(), 60, record.id.encode())
    return record


async def missing(cache: Cache, *, queue_is_empty: bool = True, most: int = 100) -> list[str]:
    copies = await cache.missing_messages(GRACE_S, most, queue_is_empty=queue_is_empty)
    return [copy.decode() for copy in copies]


async def becomes_missing(cache: Cache, *records: Record, queue_is_empty: bool = True) -> None:
    found: list[str] = []

    async def all_found() -> bool:
        found.extend(await missing(cache, queue_is_empty=queue_is_empty))
        return len(found) >= len(records)

    await eventually(all_found)
    assert sorted(found) == sorted(record.id for record in records)


async def test_in_an_empty_queue_every_job_is_missing_after_the_grace_time(cache: Cache) -> None:
    first, second = await marked(cache), await marked(cache)
    assert await missing(cache) == []
    await becomes_missing(cache, first, second)


async def test_what_was_handed_out_is_not_missing_again_within_the_grace_time(cache: Cache) -> None:
    await becomes_missing(cache, record := await marked(cache))
    assert await missing(cache) == []
    await becomes_missing(cache, record)


async def test_in_a_long_queue_a_job_is_missing_once_much_later_ones_were_taken(cache: Cache) -> None:
    await cache.show_life("a-worker")
    lost = await marked(cache)
    await asyncio.sleep(2 * GRACE_S)  # the time between the jobs is what is tested
    later = await marked(cache)
    assert await missing(cache, queue_is_empty=False) == []
    await cache.take(later.id, Lease("a-worker"), 0, 60)
    assert await missing(cache, queue_is_empty=False) == [lost.id]


async def test_what_comes_back_before_the_others_says_nothing_about_them(cache: Cache) -> None:
    await cache.show_life("a-worker")
    again, lease = await marked(cache), Lease("a-worker")
    await cache.take(again.id, lease, 0, 60)
    await marked(cache)
    await cache.release(again.id, lease, due_in_s=10 * GRACE_S)
    await cache.take(again.id, Lease("a-worker"), 0, 60)
    await asyncio.sleep(2 * GRACE_S)  # the grace time
    assert await missing(cache, queue_is_empty=False) == []


async def test_what_is_taken_before_it_is_due_says_nothing_about_what_waits(cache: Cache) -> None:
    await cache.show_life("a-worker")
    early, lease = await marked(cache), Lease("a-worker")
    await cache.take(early.id, lease, 0, 60)
    await cache.release(early.id, lease, due_in_s=1000, attempted=False)
    await marked(cache)
    await cache.take(early.id, Lease("a-worker"), 0, 60)
    assert await missing(cache, queue_is_empty=False) == []


async def test_how_many_are_handed_out_is_bounded(cache: Cache) -> None:
    records = [await marked(cache) for _ in range(5)]
    found: list[str] = []

    async def all_found() -> bool:
        some = await missing(cache, most=2)
        assert len(some) <= 2
        found.extend(some)
        return len(found) == 5

    await eventually(all_found)
    assert sorted(found) == sorted(record.id for record in records)


async def test_a_running_job_is_missing_only_when_its_worker_is_dead(cache: Cache) -> None:
    record = await marked(cache)
    await cache.show_life("a-worker")
    await cache.take(record.id, Lease("a-worker"), 0, 60)
    await becomes_missing(cache, other := await marked(cache))
    assert other.id != record.id
    await cache.advance(completed(other.id), 60)
    await cache.show_death("a-worker")
    await becomes_missing(cache, record)


async def in_hands_that_seemed_dead(cache: Cache) -> tuple[Record, Lease]:
    """A running job whose worker gave no sign of life for a while, as when the cache was away, and lives."""
    record, lease = await marked(cache), Lease("a-worker")
    await cache.take(record.id, lease, 0, 60)
    # Whoever looks at this moment takes the worker of both for dead.
    await becomes_missing(cache, control := await marked(cache))
    await cache.advance(completed(control.id), 60)
    await cache.show_life("a-worker")
    return record, lease


async def test_a_running_job_is_not_missing_though_its_worker_seemed_dead(cache: Cache) -> None:
    await in_hands_that_seemed_dead(cache)
    await becomes_missing(cache, other := await marked(cache))
    await cache.advance(completed(other.id), 60)
    await becomes_missing(cache, await marked(cache))


async def test_a_job_in_hands_that_seemed_dead_is_not_due_before_its_next_attempt(cache: Cache) -> None:
    record, lease = await in_hands_that_seemed_dead(cache)
    await cache.release(record.id, lease, due_in_s=1000)
    await becomes_missing(cache, await marked(cache))


async def test_a_job_that_waits_for_its_next_attempt_is_not_due_before(cache: Cache) -> None:
    record, lease = await marked(cache), Lease("a-worker")
    await cache.take(record.id, lease, 0, 60)
    await cache.release(record.id, lease, due_in_s=1000)
    await becomes_missing(cache, other := await marked(cache))
    assert other.id != record.id


async def test_a_released_job_is_due_again(cache: Cache) -> None:
    record, lease = await marked(cache), Lease("a-worker")
    await cache.take(record.id, lease, 0, 60)
    await cache.release(record.id, lease)
    await becomes_missing(cache, record)


async def test_a_job_that_is_taken_to_be_ended_is_not_missing(cache: Cache) -> None:
    record, lease = await marked(cache), Lease("a-worker")
    await cache.take(record.id, lease, 0, 60)
    await cache.show_death("a-worker")
    await cache.cancels.cancel(record.encode(), record.cancelled(None, 60))
    await asyncio.sleep(2 * GRACE_S)  # the time for which it has been overdue is what is tested
    assert await missing(cache) == []  # noticed to be in nobody's hands, and due from now on
    await asyncio.sleep(2 * GRACE_S)
    assert (await cache.take(record.id, Lease("another"), 0, 60)).claim is Claim.CANCELLED
    assert await missing(cache) == []
    await becomes_missing(cache, record)


async def test_finished_and_withdrawn_jobs_are_never_missing(cache: Cache) -> None:
    finished, withdrawn, control = await marked(cache), await marked(cache), await marked(cache)
    await cache.advance(completed(finished.id), 60)
    await cache.withdraw(withdrawn.id, 60)
    await becomes_missing(cache, control)


async def test_a_job_without_a_copy_of_its_message_is_nobodys_to_recover(cache: Cache) -> None:
    await cache.advance(queued(), 60)
    await becomes_missing(cache, await marked(cache))
