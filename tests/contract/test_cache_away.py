"""A cache that does not answer is said to be unavailable, within the timeout."""

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from common.cache import Cache, Lease
from common.errors import CacheUnavailable
from stack import ports, servers
from stack.process import Process
from tests.contract.clients import NewCache, completed, queued

TIMEOUT_S = 0.5
CALLS: dict[str, Callable[[Cache], Awaitable[object]]] = {
    "get": lambda cache: cache.get("a-job"),
    "advance": lambda cache: cache.advance(queued(), 60),
    "start_over": lambda cache: cache.start_over(b"", queued(), 60),
    "mark": lambda cache: cache.mark(queued(), 60, b"a message"),
    "withdraw": lambda cache: cache.withdraw("a-job", 60),
    "missing_messages": lambda cache: cache.missing_messages(60, 10, queue_is_empty=True),
    "take": lambda cache: cache.take("a-job", Lease("a-worker", "1"), 0, 60),
    "release": lambda cache: cache.release("a-job", Lease("a-worker", "1")),
    "hold": lambda cache: cache.hold(queued(), Lease("a-worker", "1"), 60),
    "show_life": lambda cache: cache.show_life("a-worker"),
    "show_death": lambda cache: cache.show_death("a-worker"),
    "ping": lambda cache: cache.ping(),
}
call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(scope="module", name="own_redis")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that only these tests stop and freeze."""
    home: Path = tmp_path_factory.mktemp("own-redis")
    with Process(servers.redis(home / "redis", ports.free_port()), home / "redis.log") as process:
        yield process


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
