"""A cache that does not answer is said to be unavailable, within the timeout."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import redis.asyncio

from common.breaker import FAILURES
from common.cache import Cache, KeyHold, Lease
from common.errors import CacheUnavailable
from common.jobs import Record
from stack import ports
from stack.process import Process
from tests.contract.clients import NewCache, completed, queued
from tests.waiting import eventually

TIMEOUT_S = 0.5
#: A wait for the server, as opposed to one for this machine.
LONG_S = TIMEOUT_S * 0.8
CALLS: dict[str, Callable[[Cache], Awaitable[object]]] = {
    "get": lambda cache: cache.get("a-job"),
    "advance": lambda cache: cache.advance(queued(), 60),
    "start_over": lambda cache: cache.start_over(b"", queued(), 60),
    "mark": lambda cache: cache.mark("a-job", b"{}", 60, b"a message"),
    "withdraw": lambda cache: cache.withdraw("a-job", 60),
    "use a key": lambda cache: cache.keys_used.use(KeyHold.on("", "a-key"), "a print", "a-job", 60, 60),
    "missing_messages": lambda cache: cache.missing_messages(60, 10, queue_is_empty=True),
    "take": lambda cache: cache.take("a-job", Lease("a-worker", "1"), 0, 60),
    "release": lambda cache: cache.release("a-job", Lease("a-worker", "1")),
    "hold": lambda cache: cache.hold(queued(), Lease("a-worker", "1"), 60),
    "show_life": lambda cache: cache.show_life("a-worker"),
    "show_death": lambda cache: cache.show_death("a-worker"),
    "ping": lambda cache: cache.ping(),
}
call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


async def unavailable_in_time(awaited: Awaitable[object]) -> None:
    began = time.monotonic()
    with pytest.raises(CacheUnavailable):
        await awaited
    assert time.monotonic() - began < TIMEOUT_S + 1


@call
async def test_a_cache_that_is_not_there(new_cache: NewCache, call: Callable[[Cache], Awaitable[object]]) -> None:
    await unavailable_in_time(call(await new_cache(f"redis://127.0.0.1:{ports.free_port()}/0", TIMEOUT_S)))


async def test_a_subscription_to_a_cache_that_is_not_there(new_cache: NewCache) -> None:
    cache = await new_cache(f"redis://127.0.0.1:{ports.free_port()}/0", TIMEOUT_S)
    await unavailable_in_time(anext(cache.finished_jobs()))


@call
async def test_a_cache_that_is_frozen(
    new_cache: NewCache, own_redis: Process, call: Callable[[Cache], Awaitable[object]]
) -> None:
    cache = await new_cache(own_redis.program.url, TIMEOUT_S)
    await cache.ping()
    own_redis.freeze()
    try:
        await unavailable_in_time(call(cache))
    finally:
        own_redis.thaw()


async def test_a_cache_that_comes_back_is_used_again(new_cache: NewCache, own_redis: Process) -> None:
    cache, record = await new_cache(own_redis.program.url), completed()
    await cache.advance(record, 60)
    own_redis.stop()
    await unavailable_in_time(cache.ping())
    own_redis.start()
    assert await cache.get(record.id) == record.encoded()
    assert await cache.advance(completed(), 60)


async def test_one_at_a_time_waits_for_a_frozen_cache_and_no_other(new_cache: NewCache, own_redis: Process) -> None:
    cache = await new_cache(own_redis.program.url, TIMEOUT_S)
    await cache.ping()
    own_redis.freeze()
    try:
        first = await asyncio.gather(*(_seconds_until_unavailable(cache) for _ in range(200)))
        began, later = time.monotonic(), list[float]()
        while time.monotonic() - began < 5:
            later += await asyncio.gather(*(_seconds_until_unavailable(cache) for _ in range(200)))
    finally:
        own_redis.thaw()
    assert max(first + later) < TIMEOUT_S + 1
    assert len(later) > 1000
    assert 2 <= sum(seconds > LONG_S for seconds in later) <= 3


async def test_a_frozen_cache_that_thaws_is_soon_used_again(new_cache: NewCache, own_redis: Process) -> None:
    cache, record = await new_cache(own_redis.program.url, TIMEOUT_S), completed()
    await cache.advance(record, 60)
    own_redis.freeze()
    try:
        for _ in range(FAILURES):
            await unavailable_in_time(cache.get(record.id))
        assert await _seconds_until_unavailable(cache) < LONG_S
    finally:
        own_redis.thaw()
    await eventually(lambda: _knows(cache, record), 5)


async def test_a_sign_of_life_makes_the_cache_used_again_at_once(new_cache: NewCache, own_redis: Process) -> None:
    cache, record = await new_cache(own_redis.program.url, TIMEOUT_S), completed()
    await cache.advance(record, 60)
    own_redis.freeze()
    try:
        for _ in range(FAILURES):
            await unavailable_in_time(cache.get(record.id))
    finally:
        own_redis.thaw()
    await cache.ping()
    assert await cache.get(record.id) == record.encoded()


async def test_errors_that_the_cache_answers_do_not_make_it_away(new_cache: NewCache, own_redis: Process) -> None:
    """Redis that is out of memory refuses to write, and can be read all the same."""
    cache, record = await new_cache(own_redis.program.url), completed()
    await cache.advance(record, 60)
    async with redis.asyncio.Redis.from_url(own_redis.program.url) as server:
        await server.config_set("maxmemory", "1")
        try:
            for _ in range(2 * FAILURES):
                await unavailable_in_time(cache.advance(completed(), 60))
            assert await cache.get(record.id) == record.encoded()
        finally:
            await server.config_set("maxmemory", "0")


async def _seconds_until_unavailable(cache: Cache) -> float:
    began = time.monotonic()
    with pytest.raises(CacheUnavailable):
        await cache.get("a-job")
    return time.monotonic() - began


async def _knows(cache: Cache, record: Record) -> bool:
    with suppress(CacheUnavailable):
        return await cache.get(record.id) == record.encoded()
    return False
