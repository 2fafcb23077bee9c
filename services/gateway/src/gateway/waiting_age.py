"""Keeps the gauge current of how long the oldest job waits."""

import asyncio
from contextlib import suppress
from typing import Never

from common import metrics
from common.cache import Cache
from common.errors import CacheUnavailable
from common.queue_depth import INTERVAL_S


async def sample(cache: Cache, queue: str) -> Never:
    """Ask the cache every few seconds; while it is away there is no value, since 0 or the last one would be a lie."""
    while True:
        try:
            oldest_s = await cache.line.oldest_waiting_s()
        except CacheUnavailable:
            with suppress(KeyError):  # there was none yet
                metrics.OLDEST_WAITING.remove(queue)
        else:
            # Named only now: a series is there, with 0, from the moment that it is named.
            metrics.OLDEST_WAITING.labels(queue).set(oldest_s)
        await asyncio.sleep(INTERVAL_S)
