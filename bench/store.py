"""Writes to the store, all of one turn of the event loop in one exchange, beside one exchange for each."""

import asyncio
import time
from contextlib import aclosing

from bench.both_ways import compare
from bench.figures import Findings
from bench.rig import Rig
from common.jobs import Record
from common.settings import StoreSettings
from common.store import Store
from stack.places import Place

#: Alone there is nothing to share, and it should cost no more than the clock can tell.
MOST = {1: 1.2, 10: 0.5, 100: 0.5}
TEXT = "an answer of some length " * 40


async def run(rig: Rig) -> Findings:
    """Processor time of this process for a write, with so many callers at once: the two of each job."""
    jobs = 500 if rig.is_quick else 2_000
    place = Place.on(rig.servers)

    async def cost(callers: int, is_batched: bool) -> float:
        return await _microseconds_a_write(place, callers, jobs, is_batched=is_batched)

    return await compare(rig, "STORE_BATCHING", "written to the store", "µs of CPU a write", MOST, cost)


async def _microseconds_a_write(place: Place, callers: int, jobs: int, *, is_batched: bool) -> float:
    settings = StoreSettings.model_validate(
        {"mongo_url": place.environment["MONGO_URL"], "store_timeout_s": 30, "store_batching": is_batched}
    )
    async with aclosing(Store(settings)) as store:
        await store.prepare()

        async def one_job_after_the_other(caller: int) -> None:
            for number in range(jobs // callers):
                now = time.time()
                queued = Record.queued(f"{is_batched}-{began}-{caller}-{number}", now, now + 600)
                await store.begin(queued.started(1, "a-model"), now + 600)
                await store.save(queued.completed(TEXT, "a-model", None, 600), now + 600)

        began = time.process_time()
        await asyncio.gather(*(one_job_after_the_other(caller) for caller in range(callers)))
        return (time.process_time() - began) / (2 * (jobs // callers * callers)) * 1e6
