"""What an attempt writes: kept piece by piece, announced to those who follow it, and whole after the cache forgot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import redis.asyncio

from common.cache import Cache, Piece
from common.errors import CacheUnavailable
from stack.process import Process
from tests.contract.clients import NewCache, queued
from tests.deployment import Place
from tests.waiting import eventually


class Ear:
    """What one process hears."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.heard: list[Piece | str] = []

    async def listen(self) -> None:
        while True:
            with suppress(CacheUnavailable):
                async for heard in self.cache.pieces.listen():
                    self.heard.append(heard)


@pytest.fixture
async def ear(new_cache: NewCache) -> AsyncIterator[Ear]:
    ear = Ear(await new_cache())
    task = asyncio.create_task(ear.listen())
    yield ear
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_pieces_make_a_text(cache: Cache) -> None:
    assert await cache.texts.append(Piece("a", 1, 0, "你好"), 0, 60)
    assert await cache.texts.append(Piece("a", 1, 2, " 👋"), 6, 60)
    assert await cache.texts.read("a", 1) == "你好 👋"
    assert await cache.texts.read("a", 2) == await cache.texts.read("b", 1) == ""


async def test_a_piece_that_is_sent_again_is_added_once(cache: Cache) -> None:
    assert await cache.texts.append(Piece("a", 1, 0, "one"), 0, 60)
    assert await cache.texts.append(Piece("a", 1, 0, "one"), 0, 60)
    assert await cache.texts.read("a", 1) == "one"


async def test_what_is_missing_is_noticed_and_written_anew(cache: Cache) -> None:
    assert not await cache.texts.append(Piece("a", 1, 3, "two"), 3, 60)
    await cache.texts.replace(Piece("a", 1, 0, "onetwo"), 60)
    assert await cache.texts.read("a", 1) == "onetwo"
    assert await cache.texts.append(Piece("a", 1, 6, "three"), 6, 60)


async def test_who_follows_a_job_hears_its_pieces_and_no_others(cache: Cache, ear: Ear) -> None:
    ear.cache.pieces.follow("a")
    await eventually(lambda: ear.heard == ["a"])
    await cache.texts.append(Piece("b", 1, 0, "x"), 0, 60)
    await cache.texts.append(Piece("a", 1, 0, "one"), 0, 60)
    await eventually(lambda: ear.heard[1:] == [Piece("a", 1, 0, "one")])
    ear.cache.pieces.unfollow("a")
    ear.cache.pieces.follow("b")
    await eventually(lambda: "b" in ear.heard)
    await cache.texts.append(Piece("a", 1, 3, "two"), 3, 60)
    await cache.texts.append(Piece("b", 1, 1, "y"), 1, 60)
    await eventually(lambda: ear.heard[-1] == Piece("b", 1, 1, "y"))
    assert Piece("a", 1, 3, "two") not in ear.heard


async def test_that_an_attempt_begins_is_heard(cache: Cache, ear: Ear) -> None:
    record = queued()
    ear.cache.pieces.follow(record.id)
    await eventually(lambda: ear.heard == [record.id])
    await cache.advance(record.started(2, "a-model"), 60)
    await eventually(lambda: ear.heard[1:] == [Piece(record.id, 2, 0, "")])


async def test_the_end_of_a_job_deletes_its_text(cache: Cache) -> None:
    started = queued().started(1, "a-model")
    await cache.texts.append(Piece(started.id, 1, 0, "one"), 0, 60)
    await cache.advance(started.completed("one", "a-model", None, 60), 60)
    assert await cache.texts.read(started.id, 1) == ""


async def test_after_a_loss_all_that_is_followed_is_begun_again(cache: Cache, ear: Ear, place: Place) -> None:
    ear.cache.pieces.follow("a")
    ear.cache.pieces.follow("b")
    await eventually(lambda: set(ear.heard) == {"a", "b"})
    async with redis.asyncio.from_url(place.environment["REDIS_URL"]) as server:
        await server.client_kill_filter(_type="pubsub")
    await eventually(lambda: ear.heard.count("a") == 2 and ear.heard.count("b") == 2)
    await cache.texts.append(Piece("a", 1, 0, "one"), 0, 60)
    await eventually(lambda: ear.heard[-1] == Piece("a", 1, 0, "one"))


async def test_a_silent_server_is_noticed(new_cache: NewCache, own_redis: Process) -> None:
    cache = await new_cache(own_redis.program.url, 1)
    cache.pieces.follow("a")
    own_redis.freeze()
    try:
        with pytest.raises(CacheUnavailable):
            await asyncio.wait_for(anext(cache.pieces.listen()), 10)
    finally:
        own_redis.thaw()
