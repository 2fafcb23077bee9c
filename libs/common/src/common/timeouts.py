"""A timeout that does not blame a server for what this process was too busy to hear."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

#: Seconds by which the event loop may be late without being called busy; also the time that it then gets to catch up.
LATE_S = 0.05
#: A loop that is busy for ever must not make the wait endless: at most so many times as long as asked.
AT_MOST = 4


@asynccontextmanager
async def answered_within(timeout_s: float) -> AsyncIterator[None]:
    """Raise TimeoutError if the block lasts longer than `timeout_s` seconds.

    An event loop that was busy with something else finds the answer and the end of the time at once, and
    `asyncio.timeout` would say that there is none. Here what has arrived is read first.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    alarms: list[asyncio.TimerHandle] = []
    async with asyncio.timeout(None) as clock:

        def ring_at(due: float) -> None:
            alarms.append(loop.call_at(due, ring, due))

        def ring(due: float) -> None:
            now = loop.time()
            if now - due > LATE_S and now - began < AT_MOST * timeout_s:
                ring_at(now + LATE_S)
            else:
                clock.reschedule(now)

        ring_at(began + timeout_s)
        try:
            yield
        finally:
            alarms[-1].cancel()


class Limit:
    """The same for a call that ends by itself: `ring` is called once the time is over, unless it was lifted."""

    __slots__ = ("_alarm", "_latest", "_loop", "_ring")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, ring: Callable[[], None]) -> None:
        now = loop.time()
        self._loop = loop
        self._latest = now + AT_MOST * timeout_s
        self._ring = ring
        self._alarm = loop.call_at(now + timeout_s, self._look, now + timeout_s)

    def lift(self) -> None:
        self._alarm.cancel()

    def _look(self, due: float) -> None:
        now = self._loop.time()
        if now - due > LATE_S and now < self._latest:
            self._alarm = self._loop.call_at(now + LATE_S, self._look, now + LATE_S)
        else:
            self._ring()
