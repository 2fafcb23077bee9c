"""A timeout that does not blame a server for what this process was too busy to hear."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from types import TracebackType
from typing import Any, NamedTuple

#: Seconds by which the event loop may be late without being called busy; also the time that it then gets to catch up.
LATE_S = 0.05
#: Seconds by which a timer may ring early: the event loop counts whole milliseconds.
EARLY_S = 0.001
#: A loop that is busy for ever must not make the wait endless: at most so many times as long as asked.
AT_MOST = 4


def answered_within(timeout_s: float) -> "Answered":
    """Raise TimeoutError if the block lasts longer than `timeout_s` seconds.

    An event loop that was busy with something else finds the answer and the end of the time at once, and
    `asyncio.timeout` would say that there is none. Here what has arrived is read first.
    """
    return Answered(timeout_s)


class Answered:
    """The block's time. A class, since each write and each publish has one, and a generator costs twice as much."""

    __slots__ = ("_alarm", "_began", "_clock", "_loop", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    async def __aenter__(self) -> None:
        self._clock = asyncio.timeout(None)
        await self._clock.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._ring_at(self._began + self._timeout_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        await self._clock.__aexit__(kind, error, frames)

    def _ring_at(self, due: float) -> None:
        self._alarm = self._loop.call_at(due, self._ring, due)

    def _ring(self, due: float) -> None:
        now = self._loop.time()
        if now - due > LATE_S and now - self._began < AT_MOST * self._timeout_s:
            self._ring_at(now + LATE_S)
        else:
            self._clock.reschedule(now)


class _Call(NamedTuple):
    due: float
    latest: float
    answer: asyncio.Future[Any]


class Limits:
    """The same for many answers by one timer: to set one for each, and to cancel it, costs a tenth of a submission.

    An answer that is not there in time gets the exception that `late` makes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], Exception]) -> None:
        self._loop = loop
        self._late = late
        self._calls: deque[_Call] = deque()  # by when they are due
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def add(self, answer: asyncio.Future[Any], timeout_s: float) -> None:
        """Give the answer so many seconds from now."""
        self._forget_answered()
        now, calls = self._loop.time(), self._calls
        call = _Call(now + timeout_s, now + AT_MOST * timeout_s, answer)
        comes_last = not calls or calls[-1].due <= call.due
        calls.append(call)
        if not comes_last:
            self._calls = deque(sorted(calls, key=attrgetter("due")))
        if call.due < self._rings_at:
            self._wind(call.due)

    def _forget_answered(self) -> None:
        while self._calls and self._calls[0].answer.done():
            self._calls.popleft()

    def _wind(self, due: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._rings_at = self._loop.call_at(due, self._ring, due), due

    def _ring(self, due: float) -> None:
        now, self._alarm, self._rings_at = self._loop.time(), None, math.inf
        was_busy = now - due > LATE_S
        self._forget_answered()
        while self._calls and self._calls[0].due <= now and not (was_busy and now < self._calls[0].latest):
            self._calls.popleft().answer.set_exception(self._late())
            self._forget_answered()
        if self._calls:
            # A timer may ring a little early, and would go on ringing until its time has come.
            self._wind(now + LATE_S if was_busy else max(self._calls[0].due, now + EARLY_S))
