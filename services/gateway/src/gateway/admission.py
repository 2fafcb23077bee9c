"""Refuses submissions while the job queue is full, before the broker is asked and anything is recorded."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from common.errors import BrokerUnavailable, QueueFull

#: Seconds between two samples of the queue's depth, and between two while submissions are refused.
INTERVAL_S, REFUSING_INTERVAL_S = 1.0, 0.1
#: Seconds after which a sample says nothing any more; then the publish decides.
MAX_AGE_S = 5
#: Seconds over which it is counted how fast workers take jobs.
WINDOW_S = 30
MAX_RETRY_AFTER_S = 60


@dataclass(frozen=True)
class _Sample:
    """What the queue's depth was, and how many jobs this gateway had published until then."""

    at: float
    depth: int
    published: int


class Admission:
    """Knows about how many messages are ready in the job queue, and keeps them below a bound.

    Between two samples the depth is what it was and what this gateway publishes. So a gateway alone keeps the
    bound exactly; what others publish, and what workers take, it learns with the next sample.

    As a context it is a place in the queue for what the block publishes, given back if that fails; entering raises
    QueueFull. Any number may be in it at a time.
    """

    def __init__(self, most: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most or math.inf
        self._clock = clock
        self._depth = 0
        self._in_flight = 0
        self._published = 0
        # Publishes that the sample under way may have counted or not.
        self._uncertain = 0
        self._samples = deque([_Sample(clock(), 0, 0)])
        self._refusing = asyncio.Event()

    def __enter__(self) -> None:
        if self._is_full():
            self._refusing.set()
            raise QueueFull(self._retry_after_s())
        self._in_flight += 1
        self._count(1)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._count(-1)
        self._in_flight -= 1

    async def watch(self, ask_depth: Callable[[], Awaitable[int]]) -> None:
        """Sample the depth for as long as there is a bound: for ever; more often while submissions are refused."""
        while self._most < math.inf:
            self._refusing.clear()
            with suppress(BrokerUnavailable):
                await self.sample(ask_depth)
            await asyncio.sleep(REFUSING_INTERVAL_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S - REFUSING_INTERVAL_S):
                    await self._refusing.wait()

    async def sample(self, ask_depth: Callable[[], Awaitable[int]]) -> None:
        """Correct the count by the real depth, as far as that is certain; raises what `ask_depth` raises."""
        at, self._uncertain = self._clock(), self._in_flight
        depth = await ask_depth()
        self._depth = min(max(self._depth, depth), depth + self._uncertain)
        self._samples.append(_Sample(at, depth, self._published))
        while self._samples[1].at < at - WINDOW_S:
            self._samples.popleft()

    def _count(self, publishes: int) -> None:
        self._depth += publishes
        self._published += publishes
        self._uncertain += publishes

    def _is_full(self) -> bool:
        return self._depth >= self._most and self._clock() - self._samples[-1].at <= MAX_AGE_S

    def _retry_after_s(self) -> int:
        """About the seconds in which workers take a tenth of a full queue, so that there is place for several."""
        first, last = self._samples[0], self._samples[-1]
        taken = first.depth - last.depth + last.published - first.published
        wait_s = self._most / 10 * (last.at - first.at) / max(taken, 1)
        return max(1, min(math.ceil(wait_s), MAX_RETRY_AFTER_S))
