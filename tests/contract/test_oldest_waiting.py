"""How long the oldest job waits for a worker, as the cache knows it."""

import asyncio

import pytest

from common.cache import Cache, Lease
from common.errors import CacheUnavailable
from common.jobs import Record
from tests.contract.clients import NewCache, completed, queued
from tests.deployment import NOWHERE

PAUSE_S = 0.2


async def marked(cache: Cache) -> Record:
    record = queued()
    await cache.mark(record.id, record.encode(), 60, b"a message")
    return record


async def test_nothing_waits(cache: Cache) -> None:
    assert await cache.line.oldest_waiting_s() == 0


async def test_it_is_the_age_of_the_oldest(cache: Cache) -> None:
    await marked(cache)
    await asyncio.sleep(PAUSE_S)  # the age is what is tested
    await marked(cache)
    assert PAUSE_S <= await cache.line.oldest_waiting_s() < 60


async def test_a_job_that_was_taken_does_not_wait(cache: Cache) -> None:
    record = await marked(cache)
    await asyncio.sleep(PAUSE_S)
    await marked(cache)
    await cache.take(record.id, Lease("a-worker"), 0, 60)
    assert await cache.line.oldest_waiting_s() < PAUSE_S


async def test_a_job_between_two_attempts_waits_for_no_worker(cache: Cache) -> None:
    record, lease = await marked(cache), Lease("a-worker")
    await cache.take(record.id, lease, 0, 60)
    await cache.release(record.id, lease, due_in_s=1000)
    assert await cache.line.oldest_waiting_s() == 0


async def test_finished_and_withdrawn_jobs_do_not_wait(cache: Cache) -> None:
    finished, withdrawn = await marked(cache), await marked(cache)
    await asyncio.sleep(PAUSE_S)
    await cache.advance(completed(finished.id), 60)
    await cache.withdraw(withdrawn.id, 60)
    assert await cache.line.oldest_waiting_s() == 0


async def test_it_is_not_known_without_the_cache(new_cache: NewCache) -> None:
    away = await new_cache(url=NOWHERE["REDIS_URL"], timeout_s=0.2)
    with pytest.raises(CacheUnavailable):
        await away.line.oldest_waiting_s()
