"""Whether the services' memory grows over 200,000 jobs that are submitted, answered and fetched."""

import asyncio
import itertools
import time
from collections import defaultdict

import aiohttp
import orjson

from bench import asking
from bench.figures import Figure, Findings, Goal
from bench.fleet import Fleet, Model, WrongAnswersError, result_url
from bench.model import ANSWER
from bench.rig import CORE_OF_LOAD, Rig, rss_bytes
from stack.process import Process

JOBS, JOBS_WHEN_QUICK = 200_000, 5_000
#: Looks at the memory, evenly spread over the jobs.
LOOKS = 20
#: Seconds; where it would take longer, fewer jobs have to do, and the table says how many.
LONGEST_S, LONGEST_S_WHEN_QUICK = 660, 30
CLIENTS = 50

MIB = 1024 * 1024
#: What the second half may add: the larger of a part and so many MiB.
MOST_GROWTH, MOST_GROWTH_MIB = 0.02, 2.0


async def run(rig: Rig) -> Findings:
    """Once only, since it takes long."""
    wanted = JOBS_WHEN_QUICK if rig.is_quick else JOBS
    longest_s = LONGEST_S_WHEN_QUICK if rig.is_quick else LONGEST_S
    async with aiohttp.ClientSession() as http:
        model = Model.on(rig, http)
        fleet = Fleet(rig, http, model, PREFETCH="50")
        services = {
            "gateway": fleet.gateway(CORE_OF_LOAD),
            # It has the most to do of all, and so a core for itself.
            "gpt-worker": fleet.worker(),
            "result-reader": fleet.reader(CORE_OF_LOAD),
        }
        clients = _Clients(http, services["gateway"], services["result-reader"])
        memory: dict[str, list[float]] = defaultdict(list)
        ends_at = time.monotonic() + longest_s
        while clients.done < wanted and time.monotonic() < ends_at:
            await clients.go_on(wanted // LOOKS)
            for name, service in services.items():
                memory[name].append(rss_bytes(service.pid) / MIB)
    path = f"memory over {clients.done:,} jobs"
    figures = tuple(Figure(path, name, "MiB", tuple(values)) for name, values in memory.items())
    return Findings(figures, tuple(_goal(path, name, values) for name, values in memory.items()))


def _goal(path: str, name: str, values: list[float]) -> Goal:
    """What the second half has added to the first: by the means of its quarters, since single looks jump."""
    quarter = max(1, len(values) // 4)
    before, after = values[-2 * quarter : -quarter], values[-quarter:]
    grown = sum(after) / len(after) - sum(before) / len(before)
    most = max(MOST_GROWTH * values[len(values) // 2], MOST_GROWTH_MIB)
    return Goal(f"{path}: {name} in the second half", f"≤ {most:.2g} MiB more", grown, grown <= most)


class _Clients:
    """Each submits a job, waits for its answer, and begins anew."""

    def __init__(self, http: aiohttp.ClientSession, gateway: Process, reader: Process) -> None:
        self.done = 0
        self._http = http
        self._submit_url = f"{gateway.program.url}/v1/jobs"
        self._reader = reader
        self._numbers = itertools.count()

    async def go_on(self, count: int) -> None:
        """So many jobs more; raises WrongAnswersError for one that is not answered as it should be."""
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                await self._one(f"number {next(self._numbers)}")

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(work())

    async def _one(self, prompt: str) -> None:
        async with self._http.post(self._submit_url, json={"msg": prompt}) as response:
            record = orjson.loads(await response.read())
        answer = await asking.wait(self._http, result_url(self._reader, record["id"]), 25)
        if answer.text != ANSWER + prompt:
            raise WrongAnswersError(f"{answer.text!r} for {prompt!r}")
        self.done += 1
