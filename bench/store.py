"""Writes to the store, all of one turn of the event loop in one exchange, beside one exchange for each."""

import asyncio
import time
from contextlib import aclosing

from bench.figures import Figure, Findings, at_most, ratio
from bench.rig import Rig
from common.jobs import Record
from common.settings import StoreSettings
from common.store import Store
from stack.places import Place

CALLERS = (1, 10, 100)
BATCHED, PLAIN = "STORE_BATCHING=true", "STORE_BATCHING=false"
UNIT = "µs of CPU a write"
TEXT = "an answer of some length " * 40


async def run(rig: Rig) -> Findings:
    """Processor time of this process for a write, with so many callers at once: the two of each job."""
    jobs = 500 if rig.is_quick else 2_000
    place = Place.on(rig.servers)
    figures, goals = [], []
    for callers in CALLERS:
        values: dict[str, list[float]] = {BATCHED: [], PLAIN: []}
        for _ in range(rig.rounds):
            for subject, found in values.items():
                found.append(await _microseconds_a_write(place, callers, jobs, is_batched=subject == BATCHED))
        path = f"written to the store, {callers} callers"
        batched, plain = (Figure(path, subject, UNIT, tuple(found)) for subject, found in values.items())
        figures += [batched, plain]
        # Alone there is nothing to share, and it should cost no more than the clock can tell.
        goals.append(at_most(path, 1.2 if callers == 1 else 0.5, "× the plain one", ratio(batched, plain)))
    return Findings(tuple(figures), tuple(goals))


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
