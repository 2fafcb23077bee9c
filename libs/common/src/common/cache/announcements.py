"""Listening to a channel on which the ids of jobs are announced."""

import asyncio
from collections.abc import AsyncIterator

import redis.asyncio

from common.breaker import Breaker
from common.cache.connecting import NO_RETRY, CutOff, new_pool, translated

# Seconds without an announcement after which the subscription is asked whether it still lives, and by which it
# must have answered.
_SILENCE_S = 2


class Announcements:
    """One subscription at a time, on a connection of its own."""

    def __init__(self, url: str, channel: str, timeout_s: float, breaker: Breaker, cut_off: CutOff) -> None:
        self._channel = channel
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._cut_off = cut_off
        # With a retry, a lost subscription would be renewed in silence, and what it missed never told.
        self._redis = redis.asyncio.Redis.from_pool(new_pool(url, timeout_s, 2, NO_RETRY))

    async def listen(self) -> AsyncIterator[str | None]:
        """The ids as they come; None once when listening begins. Raises CacheUnavailable when it is lost."""
        with translated(self._cut_off):
            async with self._redis.pubsub() as subscription:
                with self._breaker.watching(always=True):
                    async with asyncio.timeout(self._timeout_s):
                        await subscription.subscribe(self._channel)
                        while await subscription.get_message(timeout=self._timeout_s) is None:
                            pass
                yield None
                pinged = False
                while True:
                    message = await subscription.get_message(timeout=_SILENCE_S)
                    if message is None:
                        if pinged:
                            raise TimeoutError
                        async with asyncio.timeout(self._timeout_s):
                            await subscription.ping()
                        pinged = True
                        continue
                    pinged = False
                    if message["type"] == "message":
                        yield message["data"].decode()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()
