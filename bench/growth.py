"""What a request costs as things grow: 1, 2 and 4 processes of a service, ever more jobs that wait and are kept."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp

from bench import loads, submit, visitors
from bench.backlog import SETTINGS, Backlog, until_quiet
from bench.figures import Findings, Goal, at_most, ratio
from bench.fleet import Fleet, Model
from bench.over_http import Measured, Subject, measure
from bench.rig import Rig
from stack.places import Servers
from stack.process import Process

PROCESSES = (1, 2, 4)
BACKLOGS, BACKLOGS_WHEN_QUICK = (10_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
#: So many different jobs are asked for.
ASKED = 500
#: More than once, by no more than what this machine's noise makes of once.
MOST = 1.15


async def run(rig: Rig) -> Findings:
    """Processor time is compared, which is what there is to share: four processes on one core can do no more."""
    rig = replace(rig, rounds=min(rig.rounds, 3))
    async with aiohttp.ClientSession() as http:
        found = [*await _processes(rig, http), *await _backlogs(rig, http)]
    figures = tuple(figure for measured in found for figure in measured.figures())
    return Findings(figures, tuple(goal for measured in found for goal in _goals(measured)))


def _goals(measured: Measured) -> list[Goal]:
    """Each that is larger beside the smallest."""
    smallest, *larger = measured.series
    cost = measured.cpu(smallest)
    return [
        at_most(
            f"{measured.path}: {subject}", MOST, f"× the cost with {smallest}", ratio(measured.cpu(subject), cost)
        )
        for subject in larger
    ]


async def _processes(rig: Rig, http: aiohttp.ClientSession) -> list[Measured]:
    """All share a core, and each has as many connections as one alone."""
    fleet = Fleet(rig, http, Model.on(rig, http), **SETTINGS)
    readers = [fleet.reader() for _ in range(max(PROCESSES))]
    gateways = [fleet.gateway() for _ in range(max(PROCESSES))]
    waiting = list(await fleet.submit(gateways[0], map(str, range(ASKED))))
    polls, jobs = _polls(waiting), loads.posts("/v1/jobs", visitors.prompts())
    measured = [
        await measure(rig, "poll of a waiting job, more readers", [_some(readers, n, polls) for n in PROCESSES]),
        await measure(rig, "submit, more gateways", [_some(gateways, n, jobs) for n in PROCESSES]),
    ]
    await submit.clear(fleet.place)
    rig.stop_all()
    return measured


def _some(processes: Sequence[Process], count: int, script: str) -> Subject:
    first, *others = processes[:count]
    return Subject(f"{count} process{'es' * bool(others)}", first, script, beside=others)


async def _backlogs(rig: Rig, http: aiohttp.ClientSession) -> list[Measured]:
    """Each has servers of its own, so that all sizes are measured in each round; what those spend counts too."""
    async with _filled(rig, http, BACKLOGS_WHEN_QUICK if rig.is_quick else BACKLOGS) as filled:
        polls, from_store, submissions = [], [], []
        for servers, backlog in filled:
            name, fleet = f"{len(backlog.waiting):,} jobs", backlog.fleet
            asked = [_polls(random.sample(ids, ASKED)) for ids in (backlog.waiting, backlog.answered)]
            polls.append(Subject(name, fleet.reader(), asked[0], behind=[servers.redis]))
            # The cache keeps nothing for it, so that every poll goes to the store.
            forgetful = fleet.reader(RESULT_CACHE_TTL_S="0.001")
            from_store.append(Subject(name, forgetful, asked[1], behind=[servers.redis, servers.mongodb]))
            jobs = loads.posts("/v1/jobs", visitors.prompts())
            submissions.append(
                Subject(name, fleet.gateway(), jobs, backlog.trim, behind=[servers.redis, servers.rabbitmq])
            )
        await until_quiet([servers for servers, _ in filled])
        return [
            await measure(rig, "poll of a waiting job, behind a backlog", polls),
            await measure(rig, "poll of a job that only the store knows, behind a backlog", from_store),
            await measure(rig, "submit, behind a backlog", submissions),
        ]


@asynccontextmanager
async def _filled(
    rig: Rig, http: aiohttp.ClientSession, sizes: Sequence[int]
) -> AsyncIterator[list[tuple[Servers, Backlog]]]:
    async with AsyncExitStack() as stack:
        filled = []
        for size in sizes:
            servers = stack.enter_context(Servers.running(rig.directory / f"servers-{size}"))
            filled.append((servers, await Backlog.of(replace(rig, servers=servers), http, size)))
        try:
            yield filled
        finally:
            rig.stop_all()


def _polls(ids: Sequence[str]) -> str:
    return loads.gets([f"/v1/results/{job_id}" for job_id in ids])
