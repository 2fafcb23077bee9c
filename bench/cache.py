"""Reads from the cache, all of one turn of the event loop in one write, beside one connection for each."""

import asyncio
import time
from contextlib import aclosing

from bench.figures import Figure, Findings, at_most, ratio
from bench.rig import Rig
from common.cache import Cache
from common.jobs import Record
from common.settings import CacheSettings
from stack.places import Place

CALLERS = (1, 50, 200)
BATCHED, PLAIN = "CACHE_BATCHING=true", "CACHE_BATCHING=false"
UNIT = "µs of CPU a read"


async def run(rig: Rig) -> Findings:
    """Processor time of this process for a read, with so many callers at once."""
    reads = 2_000 if rig.is_quick else 10_000
    place = Place.on(rig.servers)
    figures, goals = [], []
    for callers in CALLERS:
        values: dict[str, list[float]] = {BATCHED: [], PLAIN: []}
        for _ in range(rig.rounds):
            for subject, found in values.items():
                found.append(await _microseconds_a_read(place, callers, reads, is_batched=subject == BATCHED))
        path = f"read from the cache, {callers} callers"
        batched, plain = (Figure(path, subject, UNIT, tuple(found)) for subject, found in values.items())
        figures += [batched, plain]
        # Alone there is nothing to share, and it should cost no more.
        goals.append(at_most(path, 1 if callers == 1 else 0.5, "× the plain one", ratio(batched, plain)))
    return Findings(tuple(figures), tuple(goals))


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
