"""A timeout that does not blame a server for what this process was too busy to hear."""

import asyncio
from types import TracebackType

#: Seconds by which the event loop may be late without being called busy; also the time that it then gets to catch up.
LATE_S = 0.05
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
