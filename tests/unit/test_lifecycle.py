"""How a service is told to stop, and how it ends if a task of its own dies."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from common import lifecycle
from common.lifecycle import Stop, background, run
from tests.waiting import eventually


@pytest.fixture
async def stop() -> AsyncIterator[Stop]:
    yield Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_asks_to_stop_at_once(stop: Stop, first: int, second: int) -> None:
    signal.raise_signal(first)
    await eventually(stop.asked.is_set)
    assert not stop.at_once.is_set()
    signal.raise_signal(second)
    await eventually(stop.at_once.is_set)


class Died(Exception):
    """What a task died of."""


async def _die() -> None:
    raise Died


async def test_a_background_task_that_dies_ends_what_runs_beside_it() -> None:
    ended = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        await _live_beside_one_that_dies(ended)
    assert ended.is_set()
    assert raised.group_contains(Died)


async def _live_beside_one_that_dies(ended: asyncio.Event) -> None:
    async with background(_die()):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()


def test_a_service_whose_background_task_dies_ends_with_1() -> None:
    with pytest.raises(SystemExit) as ended:
        run("a-service", _live_beside_one_that_dies(asyncio.Event()))
    assert ended.value.code == 1


async def test_background_tasks_end_with_the_block() -> None:
    cancelled = asyncio.Event()
    async with background(_wait_for_ever(cancelled)):
        await asyncio.sleep(0)
    assert cancelled.is_set()


async def _wait_for_ever(cancelled: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.set()
        raise


async def test_a_task_ends_although_something_in_it_kept_the_cancellation_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Python 3.11's wait_for does, if what it waits for is done at the moment of the cancellation."""
    monkeypatch.setattr(lifecycle, "CANCEL_AGAIN_S", 0.01)
    ended = asyncio.Event()

    async def deaf_at_first() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await _wait_for_ever(ended)

    async with asyncio.timeout(5), background(deaf_at_first()):
        await asyncio.sleep(0)
    assert ended.is_set()
