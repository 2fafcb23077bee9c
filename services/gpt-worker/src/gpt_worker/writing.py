"""Tells what an attempt writes while it does, however fast: with at most one write to the cache per 50 ms."""

import asyncio

import structlog

from common.cache import Cache, Piece
from common.errors import CacheUnavailable

log = structlog.get_logger()

#: Seconds between two writes of one attempt; what comes meanwhile goes into the next one.
PAUSE_S = 0.05


class Writing:
    """The text of one attempt. It is there for those who follow the job; the record alone is what counts."""

    def __init__(self, cache: Cache, job_id: str, attempt: int, ttl_s: float) -> None:
        self._cache = cache
        self._job_id = job_id
        self._attempt = attempt
        self._ttl_s = ttl_s
        self._parts: list[str] = []
        # Made with the first part: until then a call in hand takes the less memory.
        self._has_more: asyncio.Event | None = None
        self._telling: asyncio.Task[None] | None = None
        # Characters and bytes that the cache has; None if that is not certain.
        self._told = 0
        self._told_bytes: int | None = 0

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._parts)

    def add(self, part: str) -> None:
        """Write some more; returns at once."""
        self._parts.append(part)
        if self._has_more is None:
            self._has_more = asyncio.Event()
            self._telling = asyncio.create_task(self._tell(self._has_more))
        self._has_more.set()

    async def end(self) -> None:
        """Tell no more; what is left stands in the record."""
        if self._telling is not None:
            self._telling.cancel()
            (end,) = await asyncio.gather(self._telling, return_exceptions=True)
            if isinstance(end, Exception):
                log.error("writing_broke", exc_info=end)

    async def _tell(self, has_more: asyncio.Event) -> None:
        while True:
            await has_more.wait()
            has_more.clear()
            try:
                await self._tell_rest()
            except CacheUnavailable:
                self._told_bytes = None
                has_more.set()
            await asyncio.sleep(PAUSE_S)

    async def _tell_rest(self) -> None:
        text = self._parts[0] if len(self._parts) == 1 else self.text
        self._parts = [text]
        rest = text[self._told :]
        texts, told_bytes = self._cache.texts, self._told_bytes
        if told_bytes is None or not await texts.append(self._piece(self._told, rest), told_bytes, self._ttl_s):
            # Written anew: the cache was away, or has forgotten some of it.
            await texts.replace(self._piece(0, text), self._ttl_s)
            self._told_bytes = len(text.encode())
        else:
            self._told_bytes = told_bytes + len(rest.encode())
        self._told = len(text)

    def _piece(self, offset: int, text: str) -> Piece:
        return Piece(self._job_id, self._attempt, offset, text)
