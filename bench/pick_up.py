"""How long after the model has answered a client that waits has the answer, while 1,000 clients wait."""

import asyncio
from statistics import quantiles

import aiohttp

from bench import asking
from bench.announcements import Announcements
from bench.figures import Figure, Findings, at_most
from bench.fleet import Fleet, Model, WrongAnswersError, result_url
from bench.model import ANSWER
from bench.rig import Rig

PATH = "pick-up: answered upstream → the client has it"
CLIENTS = 1000
#: Seconds over which answers come, one after the other, and before the first of them.
SPREAD_S, SPREAD_S_WHEN_QUICK = 18, 8
FIRST_S = 6

MOST_P50_MS, MOST_P99_MS = 5, 25

#: By job, in milliseconds: upstream → saved and announced, announced → with the client.
Parts = list[tuple[float, float]]


async def run(rig: Rig) -> Findings:
    """All services share a core; the clients, the model and the servers have the other."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        rounds = [await _measure(rig, http) for _ in range(rig.few_rounds)]
    whole = [[saving + telling for saving, telling in parts] for parts in rounds]
    figures = (
        _figure("p50", whole, 50),
        _figure("p99", whole, 99),
        _figure("until it is saved and announced, p50", [[saving for saving, _ in parts] for parts in rounds], 50),
        _figure("until it is saved and announced, p99", [[saving for saving, _ in parts] for parts in rounds], 99),
        _figure("from there to the client, p50", [[telling for _, telling in parts] for parts in rounds], 50),
        _figure("from there to the client, p99", [[telling for _, telling in parts] for parts in rounds], 99),
    )
    p50, p99 = figures[:2]
    goals = (
        at_most(f"{PATH}, p50", MOST_P50_MS, "ms", p50.median),
        at_most(f"{PATH}, p99", MOST_P99_MS, "ms", p99.median),
    )
    return Findings(figures, goals)


def _figure(subject: str, rounds: list[list[float]], percent: int) -> Figure:
    return Figure(PATH, subject, "ms", tuple(quantiles(values, n=100)[percent - 1] for values in rounds))


async def _measure(rig: Rig, http: aiohttp.ClientSession) -> Parts:
    spread_s = SPREAD_S_WHEN_QUICK if rig.is_quick else SPREAD_S
    model = Model.on(rig, http)
    fleet = Fleet(rig, http, model, PREFETCH=str(CLIENTS))
    gateway, reader = fleet.gateway(RECOVERY_GRACE_S="3600"), fleet.reader()
    fleet.worker()
    prompts = [f"after {FIRST_S + spread_s * number / CLIENTS:.3f} s: {number}" for number in range(CLIENTS)]
    # As many clients more wait for jobs that no worker takes, so that 1,000 wait to the end.
    aside = fleet.gateway(AMQP_QUEUE=f"{fleet.place.queue}-aside", RECOVERY_GRACE_S="3600")
    held = await fleet.submit(aside, map(str, range(CLIENTS)))
    async with Announcements.heard(fleet.place) as heard:
        jobs = await fleet.submit(gateway, prompts)
        holding = [asyncio.create_task(asking.wait(http, result_url(reader, job_id), 25)) for job_id in held]
        async with asyncio.timeout(FIRST_S + spread_s + 30):
            answers = await asyncio.gather(*(asking.wait(http, result_url(reader, job_id), 25) for job_id in jobs))
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
    written_at = (await model.stats())["written_at"]
    parts = []
    for (job_id, prompt), answer in zip(jobs.items(), answers, strict=True):
        if answer.text != ANSWER + prompt:
            raise WrongAnswersError(f"{answer.text!r} for {prompt!r}")
        saved_at = heard.at[job_id]
        parts.append(((saved_at - written_at[prompt]) * 1000, (answer.at - saved_at) * 1000))
    rig.stop_all()
    return parts
