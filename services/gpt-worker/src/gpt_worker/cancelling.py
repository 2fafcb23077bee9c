"""Hears which jobs somebody wants cancelled, or has deleted, and ends this worker's attempts at them."""

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import Never

import structlog

from common.cache import WORKER_TTL_S, Cache
from common.errors import CacheUnavailable

log = structlog.get_logger()

#: Seconds after which a cache that was away is listened to, and asked, again.
AGAIN_S = 0.5


class Unwanted(Exception):
    """Nobody wants the answer any more; `text_so_far` is what had been written of it, if that is known."""

    text_so_far: str | None = None


class Wish:
    """What somebody wants done with a job that is in this worker's hands: nothing, or that it ends.

    As a context it goes around the call of the model, and raises Unwanted in its place: by a timeout without a time,
    for that tells our cancellation from the one of a worker that stops.
    """

    __slots__ = ("_call", "is_to_end")

    def __init__(self) -> None:
        self.is_to_end = False
        self._call: asyncio.Timeout | None = None

    def end(self) -> None:
        """Break off the call that runs; one that has not begun will not."""
        if self.is_to_end:
            return
        self.is_to_end = True
        if self._call is not None:
            self._call.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> None:
        if self.is_to_end:
            raise Unwanted
        self._call = asyncio.timeout(None)
        await self._call.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        try:
            await call.__aexit__(kind, error, frames)
        except TimeoutError as ended:
            raise Unwanted from ended


class Cancelling:
    """The jobs in this worker's hands, and what it hears of them.

    Two ways, since a word may be missed by a worker that was cut off: the channel, at once, and every few seconds
    a question about all that is in hand.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._wishes: defaultdict[str, set[Wish]] = defaultdict(set)

    def begin(self, job_id: str) -> Wish:
        """Listen, from before the lease is taken: a word that comes after the cache has given it is heard."""
        wish = Wish()
        self._wishes[job_id].add(wish)
        return wish

    def end(self, job_id: str, wish: Wish) -> None:
        """Listen no more."""
        self._wishes[job_id].discard(wish)
        if not self._wishes[job_id]:
            del self._wishes[job_id]

    async def listen(self) -> Never:
        """End what is named, for ever; ask whenever a word may have been missed."""
        while True:
            try:
                async for job_id in self._cache.cancels.words():
                    if job_id is None:
                        await self._ask()
                    else:
                        self._end(job_id)
            except CacheUnavailable:
                log.warning("cancels_not_heard")
            await asyncio.sleep(AGAIN_S)

    async def keep_asking(self) -> Never:
        """Ask every few seconds, and soon once the cache is back."""
        while True:
            try:
                await self._ask()
            except CacheUnavailable:
                await asyncio.sleep(AGAIN_S)
            else:
                await asyncio.sleep(WORKER_TTL_S / 3)

    async def _ask(self) -> None:
        for job_id in await self._cache.cancels.unwanted(list(self._wishes)):
            self._end(job_id)

    def _end(self, job_id: str) -> None:
        for wish in self._wishes.get(job_id, ()):
            wish.end()
