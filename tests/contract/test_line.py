"""The line of waiting jobs in numbers: each job's place, how long the line is, how fast it moves."""

import asyncio
import time

import pytest
import redis.asyncio

from common.cache import WORKER_TTL_S, Cache, Lease, LineSample
from common.jobs import Status
from tests.contract.clients import NewCache, job_id, queued, with_status
from tests.deployment import Place


async def test_each_job_that_is_marked_gets_the_next_place(new_cache: NewCache) -> None:
    caches = [await new_cache(), await new_cache()]
    places = await asyncio.gather(*(caches[n % 2].mark(f"job-{n}", b"{}", 60, b"a message") for n in range(50)))
    assert sorted(places) == list(range(1, 51))
    assert (await caches[0].line.sample()).last_place == 50


async def test_a_queued_record_is_read_with_its_place_and_no_other_is(cache: Cache) -> None:
    await cache.mark("an-earlier-job", b"{}", 60, b"a message")
    record = queued()
    assert await cache.mark(record.id, record.encode(), 60, b"a message") == 2
    assert await cache.mark(record.id, record.encode(), 60, b"a message") == 0
    found = await cache.get(record.id)
    assert found is not None
    assert (found.body, found.place) == (record.encode(), 2)
    for status in (Status.IN_PROGRESS, Status.COMPLETED):
        await cache.advance(with_status(record, status), 60)
        found = await cache.get(record.id)
        assert found is not None
        assert found.place is None


async def test_a_record_without_a_message_has_no_place(cache: Cache) -> None:
    record = queued()
    await cache.advance(record, 60)
    found = await cache.get(record.id)
    assert found is not None
    assert found.place is None
    assert (await cache.line.sample()).last_place == 0


async def test_who_waits_and_who_runs_is_counted(cache: Cache) -> None:
    records = [queued() for _ in range(5)]
    for record in records:
        await cache.mark(record.id, record.encode(), 60, b"a message")
    for record in records[:2]:
        await cache.take(record.id, Lease("a-worker", "1"), 0, 60)
    assert await cache.line.sample() == LineSample(waiting=3, running=2, last_place=5, slots=0, rate=0)
    await cache.withdraw(records[4].id, 60)
    await cache.advance(with_status(records[0], Status.COMPLETED), 60)
    assert await cache.line.sample() == LineSample(waiting=2, running=1, last_place=5, slots=0, rate=0)


async def test_the_rate_is_that_of_all_slots_of_living_workers(cache: Cache) -> None:
    await cache.line.tell("a", 10, 2.0)
    await cache.line.tell("b", 3, 0.5)
    sample = await cache.line.sample()
    assert sample.slots == 13
    assert sample.rate == pytest.approx(11)
    await cache.line.tell("b", 3, 1.0)
    assert (await cache.line.sample()).rate == pytest.approx(8)
    await cache.line.leave("a")
    sample = await cache.line.sample()
    assert sample.slots == 3
    assert sample.rate == pytest.approx(3)


async def test_a_worker_that_has_not_finished_a_job_is_as_fast_as_the_last_that_said_so(cache: Cache) -> None:
    await cache.line.tell("a", 10, None)
    assert (await cache.line.sample()).rate == 0
    await cache.line.tell("b", 1, 4.0)
    assert (await cache.line.sample()).rate == pytest.approx(11 / 4)
    await cache.line.leave("b")
    assert (await cache.line.sample()).rate == pytest.approx(10 / 4)


async def test_a_worker_that_is_silent_for_long_takes_nothing(cache: Cache, place: Place) -> None:
    await cache.line.tell("a", 10, 2.0)
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as client:
        fleet = f"{place.environment['REDIS_PREFIX']}fleet"
        await client.hset(fleet, "dead", f"90 {int(time.time()) - WORKER_TTL_S - 2} 2.0")
        assert (await cache.line.sample()).slots == 10
        assert await client.hkeys(fleet) == [b"a"]


@pytest.mark.parametrize("seconds", [0.000001, 1e-9, 86_400.0])
async def test_any_pace_can_be_told(cache: Cache, seconds: float) -> None:
    await cache.line.tell("a", 65_535, seconds)
    sample = await cache.line.sample()
    assert sample.slots == 65_535
    assert sample.rate >= 0


async def test_a_job_that_comes_again_after_a_failed_attempt_has_no_place(cache: Cache) -> None:
    record = queued(job_id())
    await cache.mark(record.id, record.encode(), 60, b"a message")
    lease = Lease("a-worker", "1")
    await cache.take(record.id, lease, 0, 60)
    await cache.advance(record.started(1, "a-model"), 60)
    await cache.release(record.id, lease)
    found = await cache.get(record.id)
    assert found is not None
    assert found.place is None
    assert (await cache.line.sample()).waiting == 1
