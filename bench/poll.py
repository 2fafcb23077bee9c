"""Polls of jobs that wait and of jobs that are finished, none of which has to leave the cache."""

import asyncio
from collections.abc import Mapping

from aiohttp import ClientSession

from bench import loads, peers_answers, programs
from bench.figures import Findings, Goal, at_least, ratio
from bench.over_http import Measured, Subject, measure
from bench.peers_answers import JOBS
from bench.rig import CORE_OF_SERVICE, Rig
from stack import ports, services
from stack.places import Place
from stack.process import Process

WAITING, FINISHED = "poll of a waiting job", "poll of a finished job"
HELLO, KOA = "hello world", "the article's Koa service"
OURS, LONG, PLAIN = "ours", "ours, without the shortcut", "ours, plain"
#: Peers that keep in Redis what a task has returned: their modules by their names.
ON_FASTAPI = {"FastAPI + Celery": "fastapi_celery", "FastAPI + taskiq": "fastapi_taskiq"}
PATIENCE_S = 120
#: As long as the answers that the original asks for.
TEXT = "命理师说:以上内容仅供娱乐,愿您一切顺遂。" * 30


async def run(rig: Rig) -> Findings:
    place = rig.place()
    processes = _start(rig, place)
    finished, waiting = await _jobs(rig, place)
    asked = {
        WAITING: {
            HELLO: loads.gets(["/hello"]),
            KOA: await peers_answers.koa(place, {"pending": True}),
            **dict.fromkeys(ON_FASTAPI, peers_answers.fastapi_waiting()),
            **dict.fromkeys((OURS, LONG, PLAIN), _results(waiting)),
        },
        FINISHED: {
            HELLO: loads.gets(["/hello"]),
            KOA: await peers_answers.koa(place, {"isOk": True, "text": TEXT}),
            **{name: peers_answers.fastapi_finished(place, module, TEXT) for name, module in ON_FASTAPI.items()},
            **dict.fromkeys((OURS, LONG, PLAIN), _results(finished)),
        },
    }
    found = []
    for path, scripts in asked.items():
        subjects = [Subject(name, processes[name], script) for name, script in scripts.items()]
        found.append(await measure(rig, path, subjects))
    figures = tuple(figure for measured in found for figure in measured.figures())
    return Findings(figures, tuple(goal for measured in found for goal in _goals(measured)))


def _start(rig: Rig, place: Place) -> Mapping[str, Process]:
    """All that are measured, by their names."""
    subjects = {
        HELLO: programs.hello(rig.directory),
        KOA: programs.koa(rig.directory, place),
        **{name: programs.fastapi(place, module) for name, module in ON_FASTAPI.items()},
        OURS: programs.reader(rig.directory, place),
        LONG: programs.reader(rig.directory, place, HTTP_SHORTCUT="false"),
        PLAIN: programs.reader(rig.directory, place, CACHE_BATCHING="false", HTTP_SHORTCUT="false"),
    }
    return {name: rig.start(program, core=CORE_OF_SERVICE) for name, program in subjects.items()}


def _goals(measured: Measured) -> list[Goal]:
    ours, path = measured.per_s(OURS), measured.path
    goals = [at_least(path, 0.85, "hello world's requests/s", ratio(ours, measured.per_s(HELLO)))]
    if path == WAITING:
        goals.append(at_least(path, 1.0, "Koa's requests/s", ratio(ours, measured.per_s(KOA))))
    return goals


def _results(ids: list[str]) -> str:
    return loads.gets([f"/v1/results/{job_id}" for job_id in ids])


async def _jobs(rig: Rig, place: Place) -> tuple[list[str], list[str]]:
    """Ids of finished jobs and of waiting ones, made by our services themselves."""
    stub = rig.start(services.model_stub(ports.free_port(), 0))
    gateway = rig.start(programs.gateway(rig.directory, place))
    worker = rig.start(programs.worker(rig.directory, place, stub.program.url, PREFETCH="100"))
    reader = rig.start(programs.reader(rig.directory, place))
    async with ClientSession() as http:
        finished = await _submit(http, gateway)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(_finish(http, reader, job_id) for job_id in finished))
        for process in (worker, stub, reader):
            process.kill()
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
