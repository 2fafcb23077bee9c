"""What `helm test` runs in a pod of the release, against services that run here."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.client import Client
from tests.deployment import Deployment

PROGRAM = Path(__file__).parents[2] / "deploy" / "helm" / "gpt-jobs" / "files" / "ask.py"


async def run(gateway: str, reader: str, **environment: str) -> tuple[int, str]:
    """Its exit status and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM.read_text(encoding="utf-8")),
        env={**os.environ, "GATEWAY_URL": gateway, "READER_URL": reader, "PATIENCE_S": "30", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, printed.decode()


async def test_it_shows_the_answer(system: Client) -> None:
    status, printed = await run(str(system.gateway_url).rstrip("/"), str(system.reader_url).rstrip("/"))
    assert status == 0
    assert json.loads(printed)["output_text"]


async def test_it_takes_the_first_key(deployment: Deployment) -> None:
    keys = {"API_KEYS": "shop:a-key, app:another"}
    deployment.worker()
    addresses = [str(service.url).rstrip("/") for service in (deployment.gateway(**keys), deployment.reader(**keys))]
    assert (await run(*addresses, **keys))[0] == 0
    status, printed = await run(*addresses)
    assert status == 1
    assert "401" in printed


async def test_it_gives_up_in_time(system: Client) -> None:
    nowhere = "http://127.0.0.1:1"
    status, printed = await run(nowhere, str(system.reader_url).rstrip("/"), PATIENCE_S="1")
    assert status == 1
    assert "no answer in time" in printed
