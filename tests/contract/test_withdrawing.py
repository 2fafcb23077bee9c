"""A job whose publish failed is withdrawn: nobody takes it up later, unless somebody has already."""

import pytest

from common.cache import Cache, Claim, Lease
from common.errors import ErrorCode, ServiceError
from common.jobs import TERMINAL, Status
from tests.contract.clients import completed, job_id, queued, with_status
from tests.waiting import eventually


async def test_a_withdrawn_job_is_never_taken_and_reads_as_one_that_never_was(cache: Cache) -> None:
    record = queued()
    await cache.mark(record.id, record.encode(), 60, b"a message")
    assert await cache.withdraw(record.id, 60)
    assert (await cache.take(record.id, Lease("a-worker"), 0, 60)).claim is Claim.WITHDRAWN
    assert not await cache.advance(record.started(1, "a-model"), 60)
    with pytest.raises(ServiceError) as error:
        await cache.get(record.id)
    assert error.value.code is ErrorCode.JOB_NOT_FOUND
    assert await cache.withdraw(record.id, 60)


async def test_a_job_that_was_never_marked_can_be_withdrawn(cache: Cache) -> None:
    job = job_id()
    assert await cache.withdraw(job, 60)
    assert (await cache.take(job, Lease("a-worker"), 0, 60)).claim is Claim.WITHDRAWN


async def test_a_withdrawal_ends(cache: Cache) -> None:
    job = job_id()
    await cache.withdraw(job, 0.1)

    async def ended() -> bool:
        return (await cache.take(job, Lease("a-worker"), 0, 60)).claim is Claim.TAKEN

    await eventually(ended)


@pytest.mark.parametrize("status", [Status.IN_PROGRESS, *sorted(TERMINAL)])
async def test_what_a_worker_has_written_cannot_be_withdrawn(cache: Cache, status: Status) -> None:
    record = with_status(queued(), status)
    await cache.advance(record, 60)
    assert not await cache.withdraw(record.id, 60)
    assert await cache.get(record.id) == record.encoded()


async def test_what_a_worker_has_taken_cannot_be_withdrawn(cache: Cache) -> None:
    record = queued()
    await cache.advance(record, 60)
    await cache.show_life("a-worker")
    await cache.take(record.id, Lease("a-worker", "1"), 0, 60)
    assert not await cache.withdraw(record.id, 60)
    assert await cache.get(record.id) == record.encoded()


async def test_a_finished_job_stays_finished(cache: Cache) -> None:
    record = completed()
    await cache.advance(record, 60)
    assert not await cache.withdraw(record.id, 60)
    assert (await cache.take(record.id, Lease("a-worker"), 0, 60)).claim is Claim.FINISHED
