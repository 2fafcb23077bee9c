"""Who waits for a job hears of it, whatever becomes of the subscription, and at the latest at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest
import redis.asyncio
from prometheus_client import REGISTRY

from common.cache import Cache
from common.errors import CacheUnavailable, StoreUnavailable
from common.jobs import EncodedRecord, Record
from result_reader import waiting as module
from result_reader.waiting import LOOKS_AT_ONCE, RESUBSCRIBE_S, Waiting
from stack.process import Process
from tests.contract.clients import NewCache, completed, queued
from tests.waiting import eventually

TIMEOUT_S = 0.5


@pytest.fixture
async def cache(new_cache: NewCache, own_redis: Process) -> AsyncIterator[Cache]:
    """A client of the server that these tests stop and freeze."""
    yield await new_cache(own_redis.program.url, TIMEOUT_S)
    if own_redis.running:
        own_redis.thaw()
    else:
        own_redis.start()


@pytest.fixture
async def waiting(cache: Cache) -> AsyncIterator[Waiting]:
    """With a subscription that is being listened to."""
    made = Waiting(cache)
    task = asyncio.create_task(made.listen())
    await eventually(lambda: _hears(made, cache))
    yield made
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _hears(waiting: Waiting, cache: Cache) -> bool:
    """Whether an announcement wakes who waits."""
    record = completed()

    async def look() -> EncodedRecord:
        return await cache.get(record.id) or record.started(1, "a-model").encoded()

    held = asyncio.create_task(waiting.until_terminal(record.id, 0.5, look))
    await asyncio.sleep(0)
    with suppress(CacheUnavailable):
        await cache.advance(record, 60)
    with suppress(CacheUnavailable):
        return (await held).is_terminal
    return False


class Looks:
    """What a held request finds: what the test says, counted."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.count = 0
        self.trouble: Exception | None = None

    async def __call__(self) -> EncodedRecord:
        self.count += 1
        if self.trouble:
            raise self.trouble
        return self.record.encoded()

    def finish(self) -> None:
        self.record = self.record.completed("an answer", "a-model", None, 60)


def hold(waiting: Waiting, looks: Looks, timeout_s: float = 25) -> asyncio.Task[EncodedRecord]:
    return asyncio.create_task(waiting.until_terminal(looks.record.id, timeout_s, looks))


async def test_the_end_of_the_wait_tells_what_is_so_then(cache: Cache) -> None:
    looks = Looks(queued())
    held = hold(Waiting(cache), looks, 0.2)
    await eventually(lambda: looks.count == 1)
    looks.record = looks.record.started(1, "a-model")
    assert await held == looks.record.encoded()


@pytest.mark.parametrize("trouble", [CacheUnavailable, StoreUnavailable])
async def test_not_knowing_is_no_answer_before_the_end(
    waiting: Waiting, cache: Cache, trouble: Callable[[], Exception]
) -> None:
    looks = Looks(queued())
    held = hold(waiting, looks)
    await eventually(lambda: looks.count == 1)
    looks.trouble = trouble()
    await cache.advance(completed(looks.record.id), 60)
    await eventually(lambda: looks.count == 2)
    assert not held.done()
    looks.trouble = None
    looks.finish()
    waiting.stop()
    assert await held == looks.record.encoded()


async def test_not_knowing_at_the_end_is_said(cache: Cache) -> None:
    looks = Looks(queued())
    held = hold(Waiting(cache), looks, 0.2)
    await eventually(lambda: looks.count == 1)
    looks.trouble = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await held


async def test_who_comes_after_the_stop_is_not_held(cache: Cache) -> None:
    stopping, looks = Waiting(cache), Looks(queued())
    stopping.stop()
    assert await hold(stopping, looks) == looks.record.encoded()
    assert looks.count == 1


@asynccontextmanager
async def killed(own_redis: Process) -> AsyncIterator[None]:
    async with redis.asyncio.Redis.from_url(own_redis.program.url) as server:
        assert await server.client_kill_filter(_type="pubsub") >= 1
    yield


@asynccontextmanager
async def stalled(own_redis: Process) -> AsyncIterator[None]:
    """The connection stays open, and nothing comes."""
    own_redis.freeze()
    yield
    own_redis.thaw()


@asynccontextmanager
async def stopped(own_redis: Process) -> AsyncIterator[None]:
    await asyncio.to_thread(own_redis.stop)
    yield
    own_redis.start()


@pytest.mark.parametrize("fault", [killed, stalled, stopped])
async def test_a_subscription_that_is_lost_is_noticed_in_seconds_and_renewed(
    waiting: Waiting, cache: Cache, own_redis: Process, fault: Callable[[Process], AbstractAsyncContextManager[None]]
) -> None:
    looks, renewed = Looks(queued()), _renewals()
    held = hold(waiting, looks)
    await eventually(lambda: looks.count == 1)
    async with fault(own_redis):
        # Nobody announces it.
        looks.finish()
        assert await asyncio.wait_for(held, 8) == looks.record.encoded()
    await eventually(lambda: _renewals() == renewed + 1)
    await eventually(lambda: _hears(waiting, cache))


def _renewals() -> float:
    return REGISTRY.get_sample_value("gpt_jobs_watchdog_total", {"watch": "subscription"}) or 0


async def test_without_a_subscription_held_polls_look_in_turn_and_few_at_once(
    waiting: Waiting, own_redis: Process
) -> None:
    everyone = [Looks(queued()) for _ in range(4 * LOOKS_AT_ONCE)]
    held = [hold(waiting, looks) for looks in everyone]
    await eventually(lambda: all(looks.count == 1 for looks in everyone))
    began = time.monotonic()
    await asyncio.to_thread(own_redis.stop)
    await eventually(lambda: any(looks.count == 2 for looks in everyone))
    while not all(looks.count > 1 for looks in everyone):
        assert max(looks.count for looks in everyone) == 2
        await asyncio.sleep(0.01)
    assert time.monotonic() - began > 3 * RESUBSCRIBE_S
    for looks in everyone:
        looks.finish()
    waiting.stop()
    assert all(answer.is_terminal for answer in await asyncio.gather(*held))


async def test_listening_in_vain_for_long_to_a_cache_that_answers_is_not_well(
    waiting: Waiting, own_redis: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEAF_S", 0.5)
    async with redis.asyncio.Redis.from_url(own_redis.program.url) as server:
        assert waiting.is_well()
        await allow(server, "resetchannels")
        await eventually(lambda: not waiting.is_well())
        await allow(server, "allchannels")
        await eventually(waiting.is_well)


async def allow(server: redis.asyncio.Redis, channels: str) -> None:
    await server.execute_command("ACL", "SETUSER", "default", channels)  # type: ignore[no-untyped-call]


async def test_a_cache_that_is_away_is_not_its_fault(
    waiting: Waiting, own_redis: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEAF_S", 0.0)
    await asyncio.to_thread(own_redis.stop)
    looks = Looks(queued())
    held = hold(waiting, looks)
    await eventually(lambda: looks.count > 1)
    assert waiting.is_well()
    looks.finish()
    waiting.stop()
    await held
