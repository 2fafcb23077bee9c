"""An operator at the command line: `python -m gpt_worker dead …` as a process."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stack import replies
from stack.model_stub import ModelStub
from stack.process import INHERITED
from tests.client import Application, Client
from tests.deployment import Place
from tests.waiting import eventually

INVALID = {"id": "bad", "msg": "hello", "options": {"temperature": 9}}


@dataclass(frozen=True)
class Printed:
    """What a command has printed, and its exit status."""

    status: int
    out: str
    err: str


class Operator:
    """Looks after the dead letters of one place."""

    def __init__(self, place: Place) -> None:
        self.environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "PYTHONWARNINGS": "error",
            **place.environment,
        }

    async def dead(self, *arguments: str, environment: dict[str, str] | None = None) -> Printed:
        """Run a command to its end."""
        async with self.at_work(*arguments, environment=environment) as process:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        return Printed(process.returncode or 0, out.decode(), err.decode())

    async def listed(self) -> list[dict[str, Any]]:
        """The messages of `list --json`."""
        printed = await self.dead("list", "--json")
        assert printed.status == 0, printed.err
        messages: list[dict[str, Any]] = json.loads(printed.out)["messages"]
        return messages

    @asynccontextmanager
    async def at_work(
        self, *arguments: str, environment: dict[str, str] | None = None, stdin: int = asyncio.subprocess.DEVNULL
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A command that runs; it is killed at the end of the block."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gpt_worker", "dead", *arguments),
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment if environment is None else environment,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def died(application: Application, count: int) -> None:
    """Return when so many dead letters lie there."""

    async def all_there() -> bool:
        return await application.depth(".dead") == count

    await eventually(all_there, timeout_s=30)


async def failed_jobs(client: Client, application: Application, stub: ModelStub, count: int) -> list[str]:
    """The ids of jobs that were given up since the upstream was away; it is well again."""
    stub.respond = replies.status(500)
    records = await asyncio.gather(*(client.submit(msg=f"number {number}") for number in range(count)))
    await died(application, count)
    stub.respond = replies.echo()
    return [record["id"] for record in records]
