"""Reads from the cache, all of one turn of the event loop in one write, beside one connection for each."""

import asyncio
import time
from contextlib import aclosing

from bench.both_ways import compare
from bench.figures import Findings
from bench.rig import Rig
from common.cache import Cache
from common.jobs import Record
from common.settings import CacheSettings
from stack.places import Place

#: Alone there is nothing to share, and it should cost no more.
MOST = {1: 1, 50: 0.5, 200: 0.5}


async def run(rig: Rig) -> Findings:
    """Processor time of this process for a read, with so many callers at once."""
    reads = 2_000 if rig.is_quick else 10_000
    place = Place.on(rig.servers)

    async def cost(callers: int, is_batched: bool) -> float:
        return await _microseconds_a_read(place, callers, reads, is_batched=is_batched)

    return await compare(rig, "CACHE_BATCHING", "read from the cache", "µs of CPU a read", MOST, cost)


async def _microseconds_a_read(place: Place, callers: int, reads: int, *, is_batched: bool) -> float:
    settings = CacheSettings.model_validate(
        {
            "redis_url": place.environment["REDIS_URL"],
            "redis_prefix": place.environment["REDIS_PREFIX"],
            "cache_timeout_s": 30,
            "cache_batching": is_batched,
        }
    )
    async with aclosing(Cache(settings)) as cache:
        now = time.time()
        record = Record.queued("a-job-to-read", now, now + 600)
        await cache.advance(record, 600)

        async def read_again_and_again() -> None:
            for _ in range(reads // callers):
                if await cache.get(record.id) is None:
                    raise RuntimeError("the record is gone")

        began = time.process_time()
        await asyncio.gather(*(read_again_and_again() for _ in range(callers)))
        return (time.process_time() - began) / (reads // callers * callers) * 1e6
