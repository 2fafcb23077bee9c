"""Waits for a condition, so that no test sleeps for as long as something usually takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

PAUSE_S = 0.02


async def eventually(condition: Callable[[], Awaitable[Any] | Any], timeout_s: float = 10) -> Any:
    """The first true value that the condition gives; AssertionError if there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not true within {timeout_s:g} s: the last value was {value!r}"
        await asyncio.sleep(PAUSE_S)
