"""How a service lives: it runs until it is told to stop, or until a background task of its own dies."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvloop

log = structlog.get_logger()

#: Seconds that a cancelled task has to end in, before it is cancelled again.
CANCEL_AGAIN_S = 5.0

#: When Python looks for cycles of garbage: after so many new objects, and how many times less often among older ones.
COLLECT_AFTER, COLLECT_OLDER_EVERY = 20_000, 20


class CannotStart(Exception):
    """Something outside the process must be changed first; the message says what."""


class Stop:
    """What SIGTERM and SIGINT say: the first asks the service to stop, the next one to do so `at_once`."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._hear)

    def _hear(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


@asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run tasks beside the block. One that fails cancels the block, and its error comes out of here."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        try:
            yield
        finally:
            await _end(tasks)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended.

    Once is not enough: a library may keep a cancellation to itself. Python 3.11's wait_for does if what it waits for
    is done at that very moment, and then the task goes on for ever.
    """
    while going_on := [task for task in tasks if not task.done()]:
        for task in going_on:
            task.cancel()
        await asyncio.wait(going_on, timeout=CANCEL_AGAIN_S)


def run(service: str, life: Coroutine[Any, Any, None]) -> None:
    """Run a service to its end; the process exits with 1 and the reason if it did not end by being told to."""
    _spare_pauses()
    try:
        uvloop.run(life)
    except* CannotStart as group:
        sys.exit(f"{service}: cannot start: {_first(group)}")
    except* Exception as group:
        log.exception("service_died", exc_info=group)
        sys.exit(1)


def _spare_pauses() -> None:
    """Leave what was imported out of every collection: to go through it all would stop the event loop for 20 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, COLLECT_OLDER_EVERY, COLLECT_OLDER_EVERY)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
