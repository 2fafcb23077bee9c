"""Who may end a job: the cache itself if nobody has it in hand, else the worker that has, which is told."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from common.cache import Answer, Cache, Claim, Lease, Piece
from common.errors import ErrorCode, JobDeleted, ServiceError
from common.jobs import Record, Status
from tests.contract.clients import NewCache, completed, job_id, queued

WORKER, OTHER = Lease("a-worker", "1"), Lease("another", "2")


async def cancel(cache: Cache, record: Record) -> tuple[Answer, Record | None]:
    told = await cache.cancels.cancel(record.encode(), record.cancelled(None, 60))
    return told.answer, Record.decode(told.record.body) if told.record else None


async def waiting(cache: Cache) -> Record:
    record = queued()
    await cache.mark(record.id, record.encode(), 60, b"a message")
    return record


async def running(cache: Cache) -> Record:
    record = await waiting(cache)
    await cache.take(record.id, WORKER, 0, 60)
    started = record.started(1, "a-model")
    assert await cache.advance(started, 60)
    return started


async def claim(cache: Cache, record: Record, lease: Lease = OTHER) -> Claim:
    return (await cache.take(record.id, lease, 0, 60)).claim


async def test_a_waiting_job_ends_at_once_and_is_never_taken(cache: Cache) -> None:
    record = await waiting(cache)
    answer, cancelled = await cancel(cache, record)
    assert (answer, cancelled and cancelled.status) == (Answer.CANCELLED, Status.CANCELLED)
    assert await claim(cache, record) is Claim.FINISHED
    assert await cache.missing_messages(0, 10, queue_is_empty=True) == []
    assert await cache.line.oldest_waiting_s() == 0


async def test_it_is_announced_as_an_end(cache: Cache) -> None:
    record = await waiting(cache)
    heard = cache.finished_jobs()
    assert await anext(heard) is None
    await cancel(cache, record)
    assert await asyncio.wait_for(anext(heard), 5) == record.id


async def test_the_first_of_several_counts(cache: Cache) -> None:
    record = await waiting(cache)
    answers = await asyncio.gather(*(cancel(cache, record) for _ in range(10)))
    assert sorted(answer.value for answer, _ in answers) == ["cancelled", *["ended"] * 9]
    assert len({told.encode() for _, told in answers if told}) == 1


async def test_a_record_that_has_changed_is_told_and_not_replaced(cache: Cache) -> None:
    known = queued()
    record = known.model_copy(update={"metadata": {"k": "another"}})
    await cache.mark(record.id, record.encode(), 60, b"a message")
    assert await cancel(cache, known) == (Answer.CHANGED, record)
    assert await cache.get(known.id) == record.encoded()


async def test_a_job_between_two_attempts_ends_at_once(cache: Cache) -> None:
    started = await running(cache)
    await cache.release(started.id, WORKER, 60, attempted=True)
    answer, _ = await cancel(cache, started)
    assert answer is Answer.CANCELLED
    assert await claim(cache, started) is Claim.FINISHED


async def test_a_job_in_hand_is_left_to_its_worker(cache: Cache) -> None:
    started = await running(cache)
    assert await cancel(cache, started) == (Answer.ASKED, started)
    assert await cache.get(started.id) == started.encoded()
    assert await cache.cancels.unwanted([started.id, queued().id]) == [started.id]
    assert await cache.advance(started.cancelled("so far", 60), 60)
    assert (await cancel(cache, started))[0] is Answer.ENDED


async def test_also_if_its_worker_seems_dead(cache: Cache) -> None:
    """It may have been cut off from the cache, and answer yet."""
    started = await running(cache)
    await cache.show_death(WORKER.worker)
    assert await cancel(cache, started) == (Answer.ASKED, started)


async def test_who_takes_it_next_is_told_to_end_it_and_no_attempt_is_counted(cache: Cache) -> None:
    started = await running(cache)
    await cancel(cache, started)
    assert await claim(cache, started) is Claim.LEASED
    await cache.show_death(WORKER.worker)
    taken = await cache.take(started.id, OTHER, 0, 60)
    assert (taken.claim, taken.record, taken.attempt) == (Claim.CANCELLED, started, 1)


async def test_the_same_worker_is_told_too_when_it_asks_again(cache: Cache) -> None:
    started = await running(cache)
    await cancel(cache, started)
    taken = await cache.take(started.id, WORKER, 0, 60)
    assert (taken.claim, taken.attempt) == (Claim.CANCELLED, 1)


async def test_an_attempt_does_not_begin_any_more_once_it_is_asked_for(cache: Cache) -> None:
    record = await waiting(cache)
    await cache.take(record.id, WORKER, 0, 60)
    await cancel(cache, record)
    assert not await cache.advance(record.started(1, "a-model"), 60)


async def test_of_a_job_that_the_cache_does_not_know_the_wish_is_kept(cache: Cache) -> None:
    record = queued()
    assert await cancel(cache, record) == (Answer.ASKED, None)
    assert await cache.get(record.id) is None
    assert await claim(cache, record) is Claim.CANCELLED


async def test_a_record_without_its_message_proves_nothing(cache: Cache) -> None:
    """Emptied, the cache may have been told by a poll that the job waits, while a worker runs it."""
    record = queued()
    await cache.advance(record, 60, over_nothing=True)
    assert await cancel(cache, record) == (Answer.ASKED, record)


async def test_what_has_ended_stays_as_it_is(cache: Cache) -> None:
    record = completed()
    await cache.advance(record, 60)
    assert await cancel(cache, record) == (Answer.ENDED, record)


async def test_a_withdrawn_job_is_not_there(cache: Cache) -> None:
    record = await waiting(cache)
    await cache.withdraw(record.id, 60)
    assert await cancel(cache, record) == (Answer.ENDED, None)


async def test_a_job_that_is_tried_again_is_wanted_again(cache: Cache) -> None:
    started = await running(cache)
    await cancel(cache, started)
    failed = started.failed(ServiceError(ErrorCode.INTERNAL).body(), 60)
    await cache.advance(failed, 60)
    assert await cache.start_over(failed.encode(), queued(failed.id), 60)
    assert await claim(cache, failed) is Claim.TAKEN


async def test_workers_hear_of_it(cache: Cache, new_cache: NewCache) -> None:
    words = (await new_cache()).cancels.words()
    assert await anext(words) is None
    for record in (await running(cache), await waiting(cache)):
        await cancel(cache, record)
        assert await next_word(words) == record.id
    await cache.cancels.erase(record.id, 60)
    assert await next_word(words) == record.id


async def next_word(words: AsyncIterator[str | None]) -> str | None:
    return await asyncio.wait_for(anext(words), 5)


@pytest.mark.parametrize("how", ["waiting", "running", "completed", "unknown"])
async def test_of_a_deleted_job_nothing_is_left_but_that(cache: Cache, how: str) -> None:
    record = (
        await {"waiting": waiting, "running": running}[how](cache) if how in ("waiting", "running") else completed()
    )
    if how == "completed":
        await cache.advance(record, 60)
    await cache.cancels.erase(record.id, 60)
    await cache.cancels.erase(record.id, 60)
    with pytest.raises(JobDeleted):
        await cache.get(record.id)
    assert await claim(cache, record) is Claim.DELETED
    assert await claim(cache, record, WORKER) is Claim.DELETED
    assert await cache.cancels.unwanted([record.id]) == [record.id]
    assert await cancel(cache, record) == (Answer.ENDED, None)
    for late in (record.started(2, "a-model"), completed(record.id)):
        assert not await cache.advance(late, 60)
        assert not await cache.advance(late, 60, over_nothing=True)
    assert not await cache.hold(record.started(1, "a-model"), WORKER, 60)
    assert not await cache.start_over(b"", queued(record.id), 60)
    assert await cache.missing_messages(0, 10, queue_is_empty=True) == []


async def test_it_is_announced_to_those_who_wait(cache: Cache) -> None:
    heard = cache.finished_jobs()
    assert await anext(heard) is None
    job = job_id()
    await cache.cancels.erase(job, 60)
    assert await asyncio.wait_for(anext(heard), 5) == job


async def test_what_was_written_goes_with_a_deleted_job(cache: Cache) -> None:
    started = await running(cache)
    await cache.texts.append(Piece(started.id, 1, 0, "a secret"), 0, 60)
    await cache.cancels.erase(started.id, 60)
    assert await cache.texts.read(started.id, 1) == ""
    await cache.texts.append(Piece(started.id, 1, 0, "a secret"), 0, 60)
    await cache.cancels.erase(started.id, 60, attempts=1)
    assert await cache.texts.read(started.id, 1) == ""
