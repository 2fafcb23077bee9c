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


async def test_to_take_a_lease_is_a_sign_of_life(cache: Cache) -> None:
    """The last one may have lapsed while the cache stood still, and who comes second must not find the lease void."""
    job = job_id()
    await cache.take(job, Lease("a", "1"), 0, 60)
    assert (await cache.take(job, Lease("b", "1"), 0, 60)).claim is Claim.LEASED
    await cache.show_death("a")
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


async def test_a_worker_takes_over_from_itself_what_is_not_in_its_hands(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a")
    await cache.take(job, Lease("a", "forgotten"), 0, 60)
    refused = await cache.take(job, Lease("a", "2"), 0, 60)
    assert (refused.claim, refused.by_token) == (Claim.LEASED, "forgotten")
    assert (await cache.take(job, Lease("a", "2"), 0, 60, instead_of="another")).claim is Claim.LEASED
    taken = await cache.take(job, Lease("a", "2"), 0, 60, instead_of="forgotten")
    assert (taken.claim, taken.attempt) == (Claim.TAKEN, 2)


async def test_another_workers_token_is_not_told(cache: Cache) -> None:
    job = job_id()
    await living(cache, "a")
    await cache.take(job, Lease("a", "1"), 0, 60)
    assert (await cache.take(job, Lease("b", "2"), 0, 60)).by_token is None


async def test_the_same_take_learns_of_attempts_that_the_cache_has_forgotten(cache: Cache) -> None:
    job, lease = job_id(), Lease("a", "1")
    await cache.take(job, lease, 0, 60)
    assert (await cache.take(job, lease, 4, 60)).attempt == 5
    assert (await cache.take(job, lease, 0, 60)).attempt == 5


async def test_an_attempt_that_was_not_made_does_not_count(cache: Cache) -> None:
    job = job_id()
    for _ in range(3):
        lease = Lease("a")
        assert (await cache.take(job, lease, 0, 60)).attempt == 1
        await cache.release(job, lease, attempted=False)
        await cache.release(job, lease, attempted=False)


async def test_a_worker_holds_on_to_what_an_emptied_cache_has_forgotten(cache: Cache) -> None:
    record, lease = queued().started(3, "a-model"), Lease("a", "1")
    await living(cache, "a", "b")
    assert await cache.hold(record, lease, 60)
    assert await cache.get(record.id) == record.encoded()
    assert (await cache.take(record.id, Lease("b"), 0, 60)).claim is Claim.LEASED
    await cache.release(record.id, lease)
    assert (await cache.take(record.id, Lease("b"), 0, 60)).attempt == 4


async def test_holding_on_changes_nothing_for_another_living_worker_or_a_finished_job(cache: Cache) -> None:
    mine, theirs = Lease("a", "1"), Lease("b", "1")
    running, finished = queued().started(1, "a-model"), completed()
    await living(cache, "a", "b")
    await cache.take(running.id, theirs, 0, 60)
    await cache.advance(finished, 60)
    assert not await cache.hold(running, mine, 60)
    assert not await cache.hold(finished.started(1, "a-model"), mine, 60)
    assert await cache.get(running.id) is None
    assert await cache.get(finished.id) == finished.encoded()


async def test_a_sign_of_life_tells_whether_the_cache_has_forgotten_the_last_one(cache: Cache) -> None:
    assert await cache.show_life("a")
    assert await cache.show_life("a")
    await cache.show_death("a")
    assert not await cache.show_life("a")
    assert await cache.show_life("a")


async def test_a_lease_that_was_taken_since_does_not_hide_that_the_cache_has_forgotten(cache: Cache) -> None:
    await cache.show_life("a")
    await cache.show_death("a")
    await cache.take(job_id(), Lease("a", "1"), 0, 60)
    assert not await cache.show_life("a")
