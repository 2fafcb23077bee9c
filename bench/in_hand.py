"""One worker process with 2,000 slow calls in hand: are all under way at once, what memory, how prompt?"""

import asyncio

import aiohttp

from bench.announcements import Announcements
from bench.figures import Figure, Findings, Goal, at_most
from bench.fleet import Fleet, Model
from bench.histogram import Histogram
from bench.rig import CORE_OF_LOAD, Rig, rss_bytes

CALLS = 2000
SECONDS, SECONDS_WHEN_QUICK = 30, 10

MIB = 1024 * 1024
MOST_BYTES = 60 * MIB + 50_000 * CALLS
LAG = "gpt_jobs_event_loop_lag_seconds"
MOST_LAG_MS = 50


async def run(rig: Rig) -> Findings:
    """Once only: it takes long, and counts rather than times."""
    seconds = SECONDS_WHEN_QUICK if rig.is_quick else SECONDS
    path = f"one worker process, {CALLS} calls of {seconds} s in hand"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        model = Model.on(rig, http)
        fleet = Fleet(rig, http, model, PREFETCH=str(CALLS))
        gateway, reader = fleet.gateway(CORE_OF_LOAD), fleet.reader(CORE_OF_LOAD)
        worker = fleet.worker()
        idle = rss_bytes(worker.pid)
        async with Announcements.heard(fleet.place) as heard:
            before = await Histogram.read(http, worker, LAG)
            jobs = await fleet.submit(gateway, (f"after {seconds} s: {number}" for number in range(CALLS)))
            async with asyncio.timeout(seconds):
                # The model can only be asked.
                while (await model.stats())["in_flight"] < CALLS and not heard.at:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            at_peak = rss_bytes(worker.pid)
            await heard.until(lambda heard: len(heard.at) == CALLS, seconds * 3)
        lag = (await Histogram.read(http, worker, LAG)).since(before)
        peak = (await model.stats())["peak_in_flight"]
        await fleet.check(reader, jobs)
    lag_ms = lag.quantile(0.99) * 1000
    figures = (
        Figure(path, "at once", "calls", (peak,)),
        Figure(path, "memory when idle", "MiB", (idle / MIB,)),
        Figure(path, "memory with all in hand", "MiB", (at_peak / MIB,)),
        Figure(path, "memory for each call", "kB", ((at_peak - idle) / 1000 / CALLS,)),
        Figure(path, "event loop lag, p99", "ms", (lag_ms,)),
    )
    goals = (
        Goal(f"{path}: all at once", f"{CALLS}", peak, peak == CALLS),
        at_most(f"{path}: memory", round(MOST_BYTES / MIB), "MiB", at_peak / MIB),
        at_most(f"{path}: event loop lag, p99", MOST_LAG_MS, "ms", lag_ms),
    )
    return Findings(figures, goals)
