"""Our services in a place of their own, with the lean model as their upstream, and jobs for them."""

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from bench.model import ANSWER
from bench.rig import CORE_OF_LOAD, CORE_OF_SERVICE, Rig
from stack import answers, ports, services
from stack.process import Process
from stack.program import ROOT, Program

#: Submissions at once, where it is not they that are measured.
SUBMITTERS = 100
#: As many ids as the reader takes in one request.
IDS_AT_ONCE = 50


class WrongAnswersError(Exception):
    """A benchmark whose answers are not all there and right has no figures."""


@dataclass(frozen=True)
class Model:
    """The lean model API, on the load's core."""

    process: Process
    http: aiohttp.ClientSession

    @classmethod
    def on(cls, rig: Rig, http: aiohttp.ClientSession) -> Self:
        port = ports.free_port()
        url = f"http://127.0.0.1:{port}/v1"
        program = Program(
            name="model",
            command=(sys.executable, "-m", "bench.model", "--port", str(port)),
            directory=ROOT,
            answers=partial(answers.http_ok, f"{url}/models"),
            url=url,
        )
        return cls(rig.start(program, core=CORE_OF_LOAD), http)

    @property
    def url(self) -> str:
        return self.process.program.url

    async def stats(self) -> dict[str, Any]:
        """As `bench.model.Stats` has them."""
        async with self.http.get(self.url.removesuffix("/v1") + "/stats") as response:
            found: dict[str, Any] = orjson.loads(await response.read())
            return found

    async def reset(self) -> None:
        async with self.http.post(self.url.removesuffix("/v1") + "/reset") as response:
            await response.read()

    async def until_answered(self, count: int, timeout_s: float) -> dict[str, Any]:
        """The stats once so many calls are answered. Asked for seldom, since that takes the model's time."""
        async with asyncio.timeout(timeout_s):
            while (stats := await self.stats())["answered"] < count:  # noqa: ASYNC110 (it can only be asked)
                await asyncio.sleep(0.05)
            return stats


def _as_in_the_image(directory: Path) -> str:
    """Where no `rich` is found: only developers' tools bring it, and structlog loads 4 MiB of it where it is."""
    absent = directory / "absent"
    absent.mkdir(exist_ok=True)
    (absent / "rich.py").write_text("raise ImportError('not in the image')\n", encoding="utf-8")
    return str(absent)


class Fleet:
    """Starts services that share one place; the rig stops them."""

    def __init__(self, rig: Rig, http: aiohttp.ClientSession, model: Model, **settings: str) -> None:
        self._rig = rig
        self._http = http
        self.place = rig.place()
        upstream = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "gpt-4o-mini"}
        told = {**self.place.environment, **upstream, "LOG_LEVEL": "WARNING"}
        self._environment = {**told, "PYTHONPATH": _as_in_the_image(rig.directory), **settings}

    def gateway(self, core: int = CORE_OF_SERVICE, **settings: str) -> Process:
        http_port, admin_port = ports.free_ports(2)
        program = services.gateway(
            self._rig.directory,
            http_port=http_port,
            admin_port=admin_port,
            environment={**self._environment, **settings},
        )
        return self._rig.start(program, core=core)

    def reader(self, core: int = CORE_OF_SERVICE, **settings: str) -> Process:
        http_port, admin_port = ports.free_ports(2)
        program = services.result_reader(
            self._rig.directory,
            http_port=http_port,
            admin_port=admin_port,
            environment={**self._environment, **settings},
        )
        return self._rig.start(program, core=core)

    def worker(self, core: int = CORE_OF_SERVICE, **settings: str) -> Process:
        program = services.gpt_worker(
            self._rig.directory, admin_port=ports.free_port(), environment={**self._environment, **settings}
        )
        return self._rig.start(program, core=core)

    async def submit(self, gateway: Process, prompts: Iterable[str], at_once: int = SUBMITTERS) -> dict[str, str]:
        """The prompts by the ids that they got; each must be accepted."""
        jobs: dict[str, str] = {}
        left = iter(prompts)
        url = f"{gateway.program.url}/v1/jobs"

        async def submit_some() -> None:
            for prompt in left:
                async with self._http.post(url, json={"msg": prompt}) as response:
                    record = orjson.loads(await response.read())
                    if response.status != 202:
                        raise WrongAnswersError(f"{response.status} for a submission: {record}")
                    jobs[record["id"]] = prompt

        await _together(submit_some() for _ in range(at_once))
        return jobs

    async def check(self, reader: Process, jobs: dict[str, str]) -> None:
        """Whether every job is completed with the answer to its own prompt; raises WrongAnswersError."""
        ids = list(jobs)
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = ids[start : start + IDS_AT_ONCE]
            url = f"{reader.program.url}/v1/results?ids={','.join(some)}"
            async with self._http.get(url) as response:
                records = orjson.loads(await response.read())["data"]
            for record in records:
                if record.get("output_text") != ANSWER + jobs[record["id"]]:
                    raise WrongAnswersError(f"not the answer: {record}")
            if len(records) != len(some):
                raise WrongAnswersError(f"{len(some)} jobs were asked for, {len(records)} were found")


def result_url(reader: Process, job_id: str) -> str:
    """Where the reader answers for a job."""
    return f"{reader.program.url}/v1/results/{job_id}"


async def _together(coroutines: Iterable[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)
