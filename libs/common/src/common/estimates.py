"""Where a waiting job stands in line, and about when it begins: from one sample a second, without asking again."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import NamedTuple, Never

import structlog

from common import metrics
from common.cache import Line, LineSample
from common.errors import RETRY_AFTER_S, CacheUnavailable, QueueFull
from common.jobs import EncodedRecord

log = structlog.get_logger()

INTERVAL_S = 1.0
#: Seconds after which a sample says nothing any more.
MAX_AGE_S = 5
MAX_RETRY_AFTER_S = 30
#: Jobs a second, below which nobody waits for the next one to begin.
SLOWEST_RATE = 1e-6
#: The longest that a submission is told to wait before it would fit.
MAX_REFUSAL_S = 3600


class Standing(NamedTuple):
    """Where a job stands in line, 1 is next; and in how many tenths of a second it begins, if that is known."""

    position: int
    starts_in_tenths: int | None


class Told(NamedTuple):
    """A record's JSON, of a job that waits with where it stands, and when to ask again if the job has not ended."""

    body: bytes
    retry_after_s: int


class Estimates:
    """What one service knows of the line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sample: LineSample | None = None
        self._sampled_at = -math.inf
        self._last_place = 0

    async def watch(self, line: Line) -> Never:
        """Sample the line for ever."""
        while True:
            try:
                self.know(await line.sample())
            except CacheUnavailable:
                log.debug("line_not_sampled")
            metrics.ESTIMATED_WAIT.set(_or_nan(self._of_the_next()))
            await asyncio.sleep(INTERVAL_S)

    def know(self, sample: LineSample) -> None:
        """Go by this sample from now on."""
        self._sample, self._sampled_at = sample, self._clock()
        self._last_place = sample.last_place

    def joined(self, place: int) -> None:
        """Note that a job has joined the line since."""
        self._last_place = max(self._last_place, place)

    def of(self, place: int) -> Standing | None:
        """Where the job with this place stands; None while nothing is known of the line."""
        sample = self._sample
        if sample is None or self._clock() - self._sampled_at > MAX_AGE_S:
            return None
        position = max(1, sample.waiting - sample.last_place + place)
        return Standing(position, _starts_in_tenths(sample, position))

    def told(self, record: EncodedRecord) -> Told:
        """What a client hears of a job; about twice until it begins it should ask again."""
        found = None if record.place is None else self.of(record.place)
        if found is None:
            return Told(record.body, RETRY_AFTER_S)
        position, tenths = found
        if tenths is None:
            queue, retry_after_s = b',"queue":{"position":%d,"estimated_start_s":null}}' % position, RETRY_AFTER_S
        else:
            of_s = (position, tenths // 10, tenths % 10)
            queue = b',"queue":{"position":%d,"estimated_start_s":%d.%d}}' % of_s
            retry_after_s = max(1, min(-(-tenths // 20), MAX_RETRY_AFTER_S))
        return Told(record.body[:-1] + queue, retry_after_s)

    def refuse_beyond(self, deadline_s: float) -> None:
        """Raise QueueFull if a job that is submitted now would begin after so many seconds."""
        starts_in_s = self._of_the_next()
        if starts_in_s is not None and starts_in_s > deadline_s:
            raise QueueFull(max(1, min(math.ceil(starts_in_s - deadline_s), MAX_REFUSAL_S)))

    def _of_the_next(self) -> float | None:
        found = self.of(self._last_place + 1)
        if found is None or found.starts_in_tenths is None:
            return None
        return found.starts_in_tenths / 10


def _starts_in_tenths(sample: LineSample, position: int) -> int | None:
    """The free slots take the first ones at once; after that one begins whenever one ends."""
    beyond = position - max(0, sample.slots - sample.running)
    if beyond <= 0:
        return 0
    return round(10 * beyond / sample.rate) if sample.rate > SLOWEST_RATE else None


def _or_nan(seconds: float | None) -> float:
    return math.nan if seconds is None else seconds
