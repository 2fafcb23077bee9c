"""How long a job takes one of this worker's slots, which the cache is told so that waiting can be estimated."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from statistics import fmean
from typing import Never, Self

from common.cache import Line
from common.errors import CacheUnavailable

#: Seconds between two looks whether there is something to tell, and after which it is told in any case.
INTERVAL_S, SIGN_OF_LIFE_S = 1.0, 5.0
#: Of how many attempts the mean is: of as many as run at once, within these bounds. It must forget soon, since the
#: first ones take long: connections are made, and whatever else is made once.
FEWEST, MOST = 10, 200
#: A change that is less than this part of the whole is not worth telling.
WORTH_TELLING = 0.05


class Slot:
    """A slot that is taken for as long as its block lasts: since when, and whether an attempt was made in it."""

    __slots__ = ("_pace", "since", "was_attempted")

    def __init__(self, pace: "Pace", since: float) -> None:
        self._pace = pace
        self.since = since
        self.was_attempted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pace.count(self)


class Pace:
    """The slots that are taken, and how long the last attempts took one."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._clock = clock
        self._taken: set[Slot] = set()
        self._took_s: deque[float] = deque(maxlen=max(FEWEST, min(slots, MOST)))

    def slot(self) -> Slot:
        """Take a slot for a block, whose time counts unless no attempt is made: that says nothing of the next job."""
        slot = Slot(self, self._clock())
        self._taken.add(slot)
        return slot

    def count(self, slot: Slot) -> None:
        """The slot is free again."""
        self._taken.discard(slot)
        if slot.was_attempted:
            self._took_s.append(self._clock() - slot.since)

    @property
    def seconds(self) -> float | None:
        """How long the next job will take, as far as is known: an upstream that hangs ends nothing, and is slow."""
        if not self._took_s:
            return None
        now = self._clock()
        ages = [now - slot.since for slot in self._taken]
        return max(fmean(self._took_s), fmean(ages) if ages else 0)

    async def keep_telling(self, line: Line, worker: str) -> Never:
        """Tell the cache for ever, at most once a second."""
        told: float | None = None
        told_at = -SIGN_OF_LIFE_S
        while True:
            seconds = self.seconds
            if self._clock() - told_at >= SIGN_OF_LIFE_S or _differ(told, seconds):
                try:
                    await line.tell(worker, self._slots, seconds)
                except CacheUnavailable:
                    # Told again with the next look.
                    told_at = -SIGN_OF_LIFE_S
                else:
                    told, told_at = seconds, self._clock()
            await asyncio.sleep(INTERVAL_S)


def _differ(told: float | None, seconds: float | None) -> bool:
    return seconds is not None and abs(seconds - (told or 0)) > WORTH_TELLING * seconds
