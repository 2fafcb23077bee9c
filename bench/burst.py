"""10,000 submissions in one go: is any refused, is any lost, and what does the gateway's memory do?"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from bench.announcements import Announcements
from bench.figures import Figure, Findings, Goal, at_most
from bench.fleet import Fleet, Model
from bench.rig import CORE_OF_LOAD, Rig, rss_bytes
from stack.process import Process

SUBMISSIONS, SUBMISSIONS_WHEN_QUICK = 10_000, 2_000
CONNECTIONS = 1000
#: Bursts, one after the other: what the first two have claimed must do for the others. In the first, connections are
#: still being opened while submissions go on, so that fewer are in hand at a time.
BURSTS = 4

MIB = 1024 * 1024
MOST_GROWTH_MIB = 2
SAMPLE_S = 0.05
PATIENCE_S = 300


async def run(rig: Rig) -> Findings:
    """Nothing takes the jobs until all are there; then a worker has to answer every one of them."""
    submissions = SUBMISSIONS_WHEN_QUICK if rig.is_quick else SUBMISSIONS
    path = f"a burst of {submissions:,} submissions over {CONNECTIONS:,} connections"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        model = Model.on(rig, http)
        fleet = Fleet(rig, http, model, PREFETCH="100")
        gateway, reader = fleet.gateway(), fleet.reader(CORE_OF_LOAD)
        memory = [rss_bytes(gateway.pid)]
        jobs: dict[str, str] = {}
        seconds = []
        async with _highest(gateway) as highest:
            for burst in range(BURSTS):
                began = time.monotonic()
                jobs |= await fleet.submit(
                    gateway, (f"{burst}.{number}" for number in range(submissions)), CONNECTIONS
                )
                seconds.append(time.monotonic() - began)
                memory.append(rss_bytes(gateway.pid))
        async with Announcements.heard(fleet.place) as heard:
            fleet.worker()
            await heard.until(lambda heard: len(heard.at) >= len(jobs), PATIENCE_S)
        await fleet.check(reader, jobs)
    grown = (memory[-1] - memory[2]) / MIB
    figures = (
        Figure(path, "accepted", "jobs/s", tuple(submissions / took for took in seconds)),
        Figure(path, "gateway's memory before", "MiB", (memory[0] / MIB,)),
        Figure(path, "gateway's memory at its highest", "MiB", (highest[0] / MIB,)),
        Figure(path, "gateway's memory after each", "MiB", tuple(of / MIB for of in memory[1:])),
    )
    goals = (
        # One that was refused, lost or answered wrongly would have ended this benchmark.
        Goal(f"{path}: accepted and answered", f"{BURSTS * submissions:,}", len(jobs), True),
        at_most(f"{path}: memory claimed after the second of {BURSTS}", MOST_GROWTH_MIB, "MiB", grown),
    )
    return Findings(figures, goals)


@asynccontextmanager
async def _highest(process: Process) -> AsyncIterator[Sequence[int]]:
    """The most resident memory that was seen beside the block."""
    highest = [0]

    async def sample() -> None:
        while True:
            highest[0] = max(highest[0], rss_bytes(process.pid))
            await asyncio.sleep(SAMPLE_S)

    sampler = asyncio.create_task(sample())
    try:
        yield highest
    finally:
        sampler.cancel()
        await asyncio.gather(sampler, return_exceptions=True)
