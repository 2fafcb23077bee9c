"""How many jobs a worker gets through on one core, with a model that answers at once: ours beside its peers."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
import redis

from bench import consumers
from bench.consumers import Consumer
from bench.figures import Figure, Findings, at_least, ratio
from bench.fleet import Model, WrongAnswersError
from bench.rig import Rig, cpu_seconds

PATH = "worker, model that answers at once"
PATH_WALL = "worker, model that answers at once, by the clock"
WANTED = 1.5

JOBS, JOBS_WHEN_QUICK = 1500, 300
#: Done before anything is measured: code is compiled, connections are opened.
WARM_UP, WARM_UP_WHEN_QUICK = 300, 100
PATIENCE_S = 120

SUBJECTS: Mapping[str, Callable[[Rig, aiohttp.ClientSession, Model], Consumer]] = {
    "gpt-jobs": consumers.ours,
    "article": consumers.article,
    "celery-prefork": consumers.celery("prefork"),
    "celery-threads": consumers.celery("threads"),
    "taskiq": consumers.taskiq,
    "faststream": consumers.faststream,
}
#: The others take their time, and none of them has been the best.
WHEN_QUICK = ("gpt-jobs", "article", "celery-prefork", "taskiq")


@dataclass(frozen=True)
class Run:
    """Of one subject in one round."""

    per_cpu_s: float
    per_s: float


async def run(rig: Rig) -> Findings:
    """One subject after the other, in each round."""
    by_cpu: dict[str, list[float]] = defaultdict(list)
    by_clock: dict[str, list[float]] = defaultdict(list)
    async with aiohttp.ClientSession() as http:
        for _ in range(rig.few_rounds):
            for subject in WHEN_QUICK if rig.is_quick else SUBJECTS:
                name, measured = await _measure(rig, http, SUBJECTS[subject])
                by_cpu[name].append(measured.per_cpu_s)
                by_clock[name].append(measured.per_s)
    figures = [Figure(PATH, name, "jobs per second of processor time", tuple(of)) for name, of in by_cpu.items()]
    clocked = [Figure(PATH_WALL, name, "jobs/s on one core", tuple(of)) for name, of in by_clock.items()]
    mine, *peers = figures
    best = max(peers, key=lambda peer: peer.median)
    return Findings((*figures, *clocked), (at_least(PATH, WANTED, best.subject, ratio(mine, best)),))


async def _measure(
    rig: Rig, http: aiohttp.ClientSession, start: Callable[[Rig, aiohttp.ClientSession, Model], Consumer]
) -> tuple[str, Run]:
    """All jobs lie in the queue before the first is taken: the consumer stands still while they are submitted."""
    _forget(rig)
    jobs, warm_up = (JOBS_WHEN_QUICK, WARM_UP_WHEN_QUICK) if rig.is_quick else (JOBS, WARM_UP)
    model = Model.on(rig, http)
    consumer = start(rig, http, model)
    await consumer.submit(range(warm_up))
    await model.until_answered(warm_up, PATIENCE_S)
    await _until_kept(consumer, warm_up)
    await model.reset()
    consumer.process.freeze()
    await consumer.submit(range(warm_up, warm_up + jobs))
    before = cpu_seconds(consumer.process.pid)
    consumer.process.thaw()
    stats = await model.until_answered(jobs, PATIENCE_S)
    await _until_kept(consumer, warm_up + jobs)
    used = cpu_seconds(consumer.process.pid) - before
    rig.stop_all()
    return consumer.name, Run(jobs / used, jobs / (stats["last_answer_at"] - stats["first_call_at"]))


async def _until_kept(consumer: Consumer, count: int) -> None:
    """Until every answer is where the consumer keeps them; raises WrongAnswersError if they do not get there."""
    kept = 0
    for _ in range(100):
        kept = consumer.kept()
        if kept == count:
            return
        await asyncio.sleep(0.1)
    raise WrongAnswersError(f"{consumer.name} was given {count} jobs and has kept {kept} answers")


def _forget(rig: Rig) -> None:
    """An empty Redis, so that the answers of one subject can be counted."""
    with redis.Redis.from_url(rig.servers.redis.program.url) as client:
        client.flushall()
