"""Finished jobs are announced to all who listen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest
import redis.asyncio

from common.cache import Cache
from common.errors import CacheUnavailable
from common.jobs import Status
from tests.contract.clients import NewCache, completed, queued, with_status
from tests.deployment import Place
from tests.waiting import eventually


class Listener:
    """What one subscription has told; each time that it begins, and each time that it is lost, is told as well."""

    def __init__(self, cache: Cache) -> None:
        self.heard: list[str | None] = []
        self.lost = 0
        self._cache = cache

    async def listen(self) -> None:
        while True:
            with suppress(CacheUnavailable):
                async with aclosing(self._cache.finished_jobs()) as jobs:  # type: ignore[type-var]
                    async for job in jobs:
                        self.heard.append(job)
            self.lost += 1


@pytest.fixture
async def listener(new_cache: NewCache) -> AsyncIterator[Listener]:
    listening = Listener(await new_cache())
    task = asyncio.create_task(listening.listen())
    await eventually(lambda: listening.heard == [None])
    yield listening
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_a_terminal_record_is_announced(cache: Cache, listener: Listener, status: Status) -> None:
    record = with_status(queued(), status)
    await cache.advance(record, 60)
    await eventually(lambda: listener.heard[1:] == [record.id])
    assert await cache.get(record.id) == record.encoded()


async def test_nothing_else_is_announced_and_nothing_twice(cache: Cache, listener: Listener) -> None:
    record, last = queued(), completed()
    await cache.advance(record, 60)
    await cache.advance(record.started(1, "a-model"), 60)
    done = record.completed("an answer", "a-model", None, 60)
    await cache.advance(done, 60)
    await cache.advance(done, 60)
    await cache.advance(last, 60)
    await eventually(lambda: last.id in listener.heard)
    assert listener.heard == [None, record.id, last.id]


async def test_all_who_listen_hear_it(cache: Cache, new_cache: NewCache, listener: Listener) -> None:
    async with aclosing((await new_cache()).finished_jobs()) as jobs:  # type: ignore[type-var]
        assert await anext(jobs) is None
        record = completed()
        await cache.advance(record, 60)
        assert await anext(jobs) == record.id
    await eventually(lambda: record.id in listener.heard)


async def test_one_prefix_does_not_hear_another(cache: Cache, listener: Listener, place: Place) -> None:
    async with redis.asyncio.from_url(place.environment["REDIS_URL"]) as server:
        await server.publish("another:finished", "a-job")
    record = completed()
    await cache.advance(record, 60)
    await eventually(lambda: record.id in listener.heard)
    assert "a-job" not in listener.heard


async def test_after_a_loss_one_hears_again(cache: Cache, listener: Listener, place: Place) -> None:
    async with redis.asyncio.from_url(place.environment["REDIS_URL"]) as server:
        assert await server.client_kill_filter(_type="pubsub") >= 1
    heard = []

    async def announced() -> bool:
        record = completed()
        await cache.advance(record, 60)
        heard.append(record.id)
        return any(job in listener.heard for job in heard)

    await eventually(announced)


async def test_a_loss_is_told(new_cache: NewCache, place: Place) -> None:
    async with aclosing((await new_cache()).finished_jobs()) as jobs:  # type: ignore[type-var]
        assert await anext(jobs) is None
        heard = asyncio.ensure_future(anext(jobs))
        async with redis.asyncio.from_url(place.environment["REDIS_URL"]) as server:
            await server.client_kill_filter(_type="pubsub")
        with pytest.raises(CacheUnavailable):
            await asyncio.wait_for(heard, 3)
