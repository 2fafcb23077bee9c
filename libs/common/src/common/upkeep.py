"""Keeps a service's own background tasks going: one that dies is begun again, counted, and told of if it goes on."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from common import metrics
from common.lifecycle import CannotStart, background

log = structlog.get_logger()

#: Seconds before a task that died is begun again.
PAUSE_S = 1.0
#: So many deaths within so many seconds, and only another process can help.
MOST_DEATHS = 3
WITHIN_S = 60.0


class Upkeep:
    """The tasks that a service must not be without, and how often they have died lately."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MOST_DEATHS)
        metrics.WATCHDOG.labels("task")  # counted from 0

    @asynccontextmanager
    async def of(self, **tasks: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
        """Run the tasks beside the block, under the names that the log gives them. A CannotStart ends the block."""
        async with background(*(self._keep(name, begin) for name, begin in tasks.items())):
            yield

    def is_well(self) -> bool:
        """False if tasks have died again and again."""
        return len(self._deaths) < MOST_DEATHS or time.monotonic() - self._deaths[0] > WITHIN_S

    async def _keep(self, name: str, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await begin()
            except CannotStart:
                raise
            except Exception:
                self._deaths.append(time.monotonic())
                metrics.WATCHDOG.labels("task").inc()
                log.exception("task_died", task=name)
            else:
                return
            await asyncio.sleep(PAUSE_S)
