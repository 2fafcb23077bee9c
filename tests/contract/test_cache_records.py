"""A record in the cache moves forward only."""

import pytest

from common.cache import Cache, Lease
from common.jobs import TERMINAL, Status
from tests.contract.clients import NewCache, completed, queued, with_status
from tests.waiting import eventually

ALLOWED = {
    (None, status) for status in Status
} | {
    (Status.QUEUED, Status.IN_PROGRESS),
    (Status.IN_PROGRESS, Status.IN_PROGRESS),
    *((before, after) for before in (Status.QUEUED, Status.IN_PROGRESS) for after in TERMINAL),
}  # fmt: skip


@pytest.mark.parametrize("after", list(Status))
@pytest.mark.parametrize("before", [None, *Status])
async def test_a_record_moves_forward_only(cache: Cache, before: Status | None, after: Status) -> None:
    base = queued()
    first = None if before is None else with_status(base, before, text="before")
    if first is not None:
        assert await cache.advance(first, 60)
    # Other bytes than the first, also where the status is the same.
    second = with_status(base, after, text="after").model_copy(update={"metadata": {"written": "second"}})
    written = await cache.advance(second, 60)
    assert written == ((before, after) in ALLOWED)
    found = await cache.get(base.id)
    expected = second if written else first
    assert expected is not None
    assert found == expected.encoded()


@pytest.mark.parametrize("after", list(Status))
async def test_a_copy_is_written_over_nothing_only(cache: Cache, after: Status) -> None:
    first = queued()
    assert await cache.advance(first, 60, over_nothing=True)
    assert not await cache.advance(with_status(first, after), 60, over_nothing=True)
    assert await cache.get(first.id) == first.encoded()


async def test_a_step_forward_lives_for_its_own_time(cache: Cache) -> None:
    record = queued()
    await cache.advance(record, 0.2)
    await cache.advance(record.started(1, "a-model"), 60)
    await time_passes(cache, 0.2)
    assert await cache.get(record.id) is not None


async def test_a_refused_step_changes_no_time_to_live(cache: Cache) -> None:
    record = completed()
    await cache.advance(record, 60)
    await cache.advance(queued(record.id), 0.2)
    await time_passes(cache, 0.2)
    assert await cache.get(record.id) == record.encoded()


async def test_a_worker_that_takes_before_the_gateway_writes_does_not_lose_its_lease(new_cache: NewCache) -> None:
    gateway, worker = await new_cache(), await new_cache()
    record = queued()
    await worker.show_life("a-worker")
    await worker.take(record.id, Lease("a-worker", "1"), 0, 60)
    await gateway.advance(record, 60)
    assert (await worker.take(record.id, Lease("another-worker", "1"), 0, 60)).claim.value == "leased"
    assert await gateway.get(record.id) == record.encoded()


async def time_passes(cache: Cache, seconds: float) -> None:
    """Wait until a record that is written now, for so long, is gone."""
    witness = queued()
    await cache.advance(witness, seconds)

    async def gone() -> bool:
        return await cache.get(witness.id) is None

    await eventually(gone)
