"""How close a worker comes to the ideal when N jobs of L seconds wait for it and it has P slots: N·L/P seconds."""

from dataclasses import dataclass

import aiohttp

from bench.announcements import Announcements
from bench.figures import Figure, Findings, Goal
from bench.fleet import Fleet, Model
from bench.rig import CORE_OF_LOAD, Rig

WANTED = 0.97


@dataclass(frozen=True)
class Load:
    """So many jobs of so many seconds each, on so many slots."""

    jobs: int
    seconds: float
    slots: int

    @property
    def path(self) -> str:
        return f"draining {self.jobs} jobs of {self.seconds:g} s with {self.slots} slots"

    @property
    def ideal_s(self) -> float:
        return self.jobs * self.seconds / self.slots


# The slots are filled one after the other, so the more there are, the longer it has to take.
LOADS = (Load(100, 2, 10), Load(1000, 2, 100), Load(3000, 10, 1000))
LOADS_WHEN_QUICK = (Load(50, 1, 10), Load(500, 1, 100), Load(1000, 8, 1000))


async def run(rig: Rig) -> Findings:
    """Every load once in each round."""
    loads = LOADS_WHEN_QUICK if rig.is_quick else LOADS
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        parts = [[await _drain(rig, http, load) for load in loads] for _ in range(rig.few_rounds)]
    figures = [
        Figure(load.path, "gpt-jobs", "of the ideal", values)
        for load, values in zip(loads, zip(*parts, strict=True), strict=True)
    ]
    goals = [
        Goal(figure.path, f"≥ {WANTED:g} of the ideal", figure.median, figure.median >= WANTED) for figure in figures
    ]
    return Findings(tuple(figures), tuple(goals))


async def _drain(rig: Rig, http: aiohttp.ClientSession, load: Load) -> float:
    """The ideal time, as a part of that from the first call's start until the last answer is saved."""
    model = Model.on(rig, http)
    fleet = Fleet(rig, http, model, PREFETCH=str(load.slots))
    gateway, reader = fleet.gateway(CORE_OF_LOAD), fleet.reader(CORE_OF_LOAD)
    prompts = [f"after {load.seconds} s: {number}" for number in range(load.jobs)]
    jobs = await fleet.submit(gateway, prompts)
    async with Announcements.heard(fleet.place) as heard:
        fleet.worker()
        await heard.until(lambda heard: len(heard.at) == load.jobs, load.ideal_s * 3 + 30)
        began_at: float = (await model.stats())["first_call_at"]
        took_s = max(heard.at.values()) - began_at
    await fleet.check(reader, jobs)
    rig.stop_all()
    return load.ideal_s / took_s
