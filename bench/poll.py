"""Polls of jobs that wait and of jobs that are finished, none of which has to leave the cache."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import ClientSession
from redis.asyncio import Redis

from bench import loads, programs
from bench.figures import Findings, Goal, at_least, ratio
from bench.over_http import Measured, Subject, measure
from bench.rig import CORE_OF_SERVICE, Rig
from stack import ports, services
from stack.places import Place
from stack.process import Process

WAITING, FINISHED = "poll of a waiting job", "poll of a finished job"
HELLO, KOA, OURS, PLAIN = "hello world", "the article's Koa service", "ours", "ours, unbatched"
#: So many different jobs are asked for.
JOBS = 500
#: As long as the answers that the original asks for.
TEXT = "命理师说:以上内容仅供娱乐,愿您一切顺遂。" * 30


@dataclass(frozen=True)
class Asked:
    """The requests for the same kind of job, as each service wants them."""

    koa: str
    ours: str


async def run(rig: Rig) -> Findings:
    hello = rig.start(programs.hello(rig.directory), core=CORE_OF_SERVICE)
    place = rig.place()
    koa = rig.start(programs.koa(rig.directory, place), core=CORE_OF_SERVICE)
    ours = rig.start(programs.reader(rig.directory, place), core=CORE_OF_SERVICE)
    plain = rig.start(programs.reader(rig.directory, place, CACHE_BATCHING="false"), core=CORE_OF_SERVICE)
    finished, waiting = await _jobs(rig, place)
    pending, done = {"pending": True}, {"isOk": True, "text": TEXT}
    asked = {
        WAITING: Asked(await _koas(place, pending), _results(waiting)),
        FINISHED: Asked(await _koas(place, done), _results(finished)),
    }
    found = []
    for path, scripts in asked.items():
        subjects = [
            Subject(HELLO, hello, loads.gets(["/hello"])),
            Subject(KOA, koa, scripts.koa),
            Subject(OURS, ours, scripts.ours),
            Subject(PLAIN, plain, scripts.ours),
        ]
        found.append(await measure(rig, path, subjects))
    figures = tuple(figure for measured in found for figure in measured.figures())
    return Findings(figures, tuple(goal for measured in found for goal in _goals(measured)))


def _goals(measured: Measured) -> list[Goal]:
    ours, path = measured.per_s(OURS), measured.path
    goals = [at_least(path, 0.85, "hello world's requests/s", ratio(ours, measured.per_s(HELLO)))]
    if path == WAITING:
        goals.append(at_least(path, 1.0, "Koa's requests/s", ratio(ours, measured.per_s(KOA))))
    return goals


def _results(ids: list[str]) -> str:
    return loads.gets([f"/v1/results/{job_id}" for job_id in ids])


async def _koas(place: Place, cached: Mapping[str, object]) -> str:
    """Jobs as the article's services leave them in Redis, and the polls for them."""
    ids = [str(uuid.uuid4()) for _ in range(JOBS)]
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        for req_id in ids:
            await redis.set(place.environment["REDIS_PREFIX"] + req_id, json.dumps(cached), ex=3600)
    return loads.posts("/predict/query", [{"reqId": req_id} for req_id in ids])


async def _jobs(rig: Rig, place: Place) -> tuple[list[str], list[str]]:
    """Ids of finished jobs and of waiting ones, made by our services themselves."""
    stub = rig.start(services.model_stub(ports.free_port(), 0))
    gateway = rig.start(programs.gateway(rig.directory, place))
    worker = rig.start(programs.worker(rig.directory, place, stub.program.url, PREFETCH="100"))
    reader = rig.start(programs.reader(rig.directory, place))
    async with ClientSession() as http:
        finished = await _submit(http, gateway)
        await asyncio.gather(*(_finish(http, reader, job_id) for job_id in finished))
        for process in (worker, stub, reader):
            process.stop()
        waiting = await _submit(http, gateway)
    gateway.stop()
    return finished, waiting


async def _submit(http: ClientSession, gateway: Process) -> list[str]:
    async def one() -> str:
        async with http.post(f"{gateway.program.url}/v1/jobs", json={"msg": TEXT}, raise_for_status=True) as response:
            return str((await response.json())["id"])

    return await asyncio.gather(*(one() for _ in range(JOBS)))


async def _finish(http: ClientSession, reader: Process, job_id: str) -> None:
    url = f"{reader.program.url}/v1/results/{job_id}"
    status = ""
    while status != "completed":
        async with http.get(url, params={"wait": "25"}, raise_for_status=True) as response:
            status = (await response.json())["status"]
