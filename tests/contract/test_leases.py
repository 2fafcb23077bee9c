"""The lease of a job: one worker's at a time, void when that worker is dead, and each one taken is counted."""

import asyncio

import pytest

from common import messages
from common.cache import Cache, Claim, Lease
from common.messages import Message
from tests.contract.clients import NewCache, completed, job_id, queued


async def living(cache: Cache, *workers: str) -> None:
    for worker in workers:
        await cache.show_life(worker)


async def test_the_first_worker_takes_the_lease_and_sees_the_record(cache: Cache) -> None:
    record = queued()
    await cache.advance(record, 60)
    await living(cache, "a")
    taken = await cache.take(record.id, Lease("a", "1"), 0, 60)
    assert (taken.claim, taken.record, taken.attempt) == (Claim.TAKEN, record, 1)


async def test_a_job_that_nobody_has_recorded_can_be_taken(cache: Cache) -> None:
    taken = await cache.take(job_id(), Lease("a", "1"), 0, 60)
    assert (taken.claim, taken.record, taken.attempt) == (Claim.TAKEN, None, 1)


async def test_a_lease_without_a_record_reads_as_nothing(cache: Cache) -> None:
    job = job_id()
    await cache.take(job, Lease("a", "1"), 0, 60)
    assert await cache.get(job) is None


async def test_a_job_in_a_living_workers_hands_is_leased_also_to_itself(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a", "b")
    await cache.take(job, Lease("a", "1"), 0, 60)
    for worker in ("a", "b"):
        assert (await cache.take(job, Lease(worker, "2"), 0, 60)).claim is Claim.LEASED


async def test_a_take_whose_answer_was_lost_can_be_sent_again(cache: Cache) -> None:
    """Or a worker would be locked out by its own lease for as long as it lives."""
    job = job_id()
    await living(cache, "a")
    first = await cache.take(job, Lease("a", "1"), 0, 60)
    assert await cache.take(job, Lease("a", "1"), 0, 60) == first
    await cache.release(job, Lease("a", "2"))
    assert (await cache.take(job, Lease("a", "2"), 0, 60)).claim is Claim.LEASED


async def test_of_many_workers_exactly_one_takes_the_lease(new_cache: NewCache) -> None:
    caches = [await new_cache() for _ in range(3)]
    job, workers = job_id(), [f"worker-{number}" for number in range(30)]
    await living(caches[0], *workers)
    answers = await asyncio.gather(
        *(caches[number % 3].take(job, Lease(worker, "1"), 0, 60) for number, worker in enumerate(workers))
    )
    assert sorted(answer.claim.value for answer in answers) == ["leased"] * 29 + ["taken"]


async def test_a_dead_workers_lease_is_void(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a", "b")
    await cache.take(job, Lease("a", "1"), 0, 60)
    await cache.show_death("a")
    taken = await cache.take(job, Lease("b", "1"), 0, 60)
    assert (taken.claim, taken.attempt) == (Claim.TAKEN, 2)


async def test_the_lease_of_a_worker_that_never_showed_life_is_void(cache: Cache) -> None:
    job = job_id()
    await cache.take(job, Lease("a", "1"), 0, 60)
    assert (await cache.take(job, Lease("b", "1"), 0, 60)).claim is Claim.TAKEN


async def test_a_released_job_can_be_taken_again_also_by_the_same_worker(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a", "b")
    for attempt, worker in enumerate("aab", start=1):
        taken = await cache.take(job, Lease(worker, "1"), 0, 60)
        assert (taken.claim, taken.attempt) == (Claim.TAKEN, attempt)
        await cache.release(job, Lease(worker, "1"))


async def test_a_lease_that_is_anothers_cannot_be_released(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a", "b")
    await cache.take(job, Lease("a", "1"), 0, 60)
    await cache.release(job, Lease("b", "1"))
    assert (await cache.take(job, Lease("b", "1"), 0, 60)).claim is Claim.LEASED


async def test_releasing_nothing_leaves_nothing(cache: Cache) -> None:
    record = queued()
    await cache.release(record.id, Lease("a", "1"))
    assert await cache.advance(record, 60)


async def test_attempts_are_counted_from_what_the_message_knows_if_that_is_more(cache: Cache) -> None:
    job = job_id()
    attempts = []
    for known in (3, 0, 9, 9):
        attempts.append((await cache.take(job, Lease("a", "1"), known, 60)).attempt)
        await cache.release(job, Lease("a", "1"))
    assert attempts == [4, 5, 10, 11]


async def test_an_attempt_that_was_refused_is_not_counted(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a")
    await cache.take(job, Lease("a", "1"), 0, 60)
    await cache.take(job, Lease("b", "1"), 0, 60)
    await cache.release(job, Lease("a", "1"))
    assert (await cache.take(job, Lease("b", "1"), 0, 60)).attempt == 2


async def test_progress_keeps_the_lease(cache: Cache) -> None:
    record = queued()
    await cache.advance(record, 60)
    await living(cache, "a")
    await cache.take(record.id, Lease("a", "1"), 0, 60)
    await cache.advance(record.started(1, "a-model"), 60)
    assert (await cache.take(record.id, Lease("b", "1"), 0, 60)).claim is Claim.LEASED


async def test_a_finished_job_cannot_be_taken_and_tells_its_record(cache: Cache) -> None:
    record = completed()
    await living(cache, "a")
    await cache.take(record.id, Lease("a", "1"), 0, 60)
    await cache.advance(record, 60)
    taken = await cache.take(record.id, Lease("b", "1"), 0, 60)
    assert (taken.claim, taken.record, taken.attempt) == (Claim.FINISHED, record, 0)


@pytest.mark.parametrize("value", [True, 2**63 - 1, 2**53])
async def test_an_odd_x_attempt_gives_a_countable_attempt(cache: Cache, value: int) -> None:
    before = messages.attempts_before(Message(b"", headers={"x-attempt": value}))
    job = job_id()
    first = (await cache.take(job, Lease("a", "1"), before, 60)).attempt
    await cache.release(job, Lease("a", "1"))
    assert 0 < first < (await cache.take(job, Lease("a", "1"), before, 60)).attempt
