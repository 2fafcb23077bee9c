"""A failed job can begin again: the one step backwards, and only over what was known."""

import pytest

from common.cache import Cache, Claim, Lease
from common.jobs import Record, Status
from common.store import Store
from tests.contract.clients import completed, job_id, queued, with_status

LEASE = Lease("a-worker", "1")


def failed(of: str | None = None, text: str = "it failed") -> Record:
    return with_status(queued(of), Status.FAILED, text)


def anew(record: Record) -> Record:
    """The record of the same job's next life."""
    return queued(record.id).model_copy(update={"metadata": {"life": "second"}})


async def test_a_failed_job_begins_again_and_can_be_taken_as_if_for_the_first_time(cache: Cache) -> None:
    first = failed()
    await cache.advance(first, 60)
    assert await cache.start_over(first.encode(), anew(first), 60)
    assert await cache.get(first.id) == anew(first).encoded()
    taken = await cache.take(first.id, LEASE, 0, 60)
    assert (taken.claim, taken.record, taken.attempt) == (Claim.TAKEN, anew(first), 1)
    assert await cache.advance(completed(first.id), 60)


async def test_a_job_that_nobody_remembers_begins_again_too(cache: Cache) -> None:
    record = queued()
    assert await cache.start_over(b"", record, 60)
    assert await cache.get(record.id) == record.encoded()


@pytest.mark.parametrize("status", list(Status))
async def test_nothing_is_written_over_what_was_not_known(cache: Cache, status: Status) -> None:
    there = with_status(queued(), status, "another")
    await cache.advance(there, 60)
    assert not await cache.start_over(failed(there.id).encode(), anew(there), 60)
    assert not await cache.start_over(b"", anew(there), 60)
    assert await cache.get(there.id) == there.encoded()


async def test_a_repeated_call_gives_the_same_answer(cache: Cache) -> None:
    first = failed()
    await cache.advance(first, 60)
    assert await cache.start_over(first.encode(), anew(first), 60)
    assert await cache.start_over(first.encode(), anew(first), 60)
    assert await cache.get(first.id) == anew(first).encoded()


async def test_who_holds_the_lease_keeps_it(cache: Cache) -> None:
    record = queued()
    await cache.show_life(LEASE.worker)
    await cache.take(record.id, LEASE, 0, 60)
    assert await cache.start_over(b"", record, 60)
    assert (await cache.take(record.id, Lease("another-worker", "1"), 0, 60)).claim is Claim.LEASED


async def test_a_stored_failure_becomes_a_job_that_waits_and_another_end_can_be_saved(store: Store) -> None:
    first = failed()
    await store.save(first, keep_until=0)
    again = queued(first.id)
    assert await store.start_over(first, again)
    assert await store.find(first.id) == again
    assert not await store.start_over(first, queued(first.id))
    running = again.started(1, "a-model")
    await store.begin(running, keep_until=0)
    assert await store.find(first.id) == running
    answer = completed(first.id)
    assert await store.save(answer, keep_until=0) is answer


async def test_no_other_stored_record_starts_over(store: Store) -> None:
    answer = completed(job_id())
    await store.save(answer, keep_until=0)
    assert not await store.start_over(failed(answer.id), queued(answer.id))
    assert await store.find(answer.id) == answer
