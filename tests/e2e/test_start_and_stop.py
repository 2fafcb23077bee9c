"""A service starts only with settings that make sense, and stops when it is told to without losing anything."""

import asyncio
import signal
import sys

import pytest
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import Deployment, Place
from tests.waiting import eventually

REQUIRED = {
    "gateway": ["AMQP_URL", "REDIS_URL", "JOB_ID_KEYS"],
    "result_reader": ["REDIS_URL", "MONGO_URL", "JOB_ID_KEYS"],
    "gpt_worker": ["AMQP_URL", "REDIS_URL", "MONGO_URL", "OPENAI_API_KEY"],
}


@pytest.mark.parametrize(("module", "name"), [(m, name) for m, names in REQUIRED.items() for name in names])
async def test_a_missing_setting_stops_the_start_with_one_line(module: str, name: str, place: Place) -> None:
    environment = place.environment | {"OPENAI_API_KEY": "sk-secret"}
    del environment[name]

    status, output = await _run(module, environment)

    assert status == 2
    assert output.splitlines() == [f"{module.replace('_', '-')}: cannot start: {name} is missing"]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("gateway", "AMQP_URL", "http://user:secret@host"),
        ("gateway", "API_KEYS", "secret"),
        ("gateway", "HTTP_PORT", "secret"),
        ("gateway", "LOG_LEVEL", "secret"),
        ("gateway", "JOB_ID_KEYS", ","),
        ("result_reader", "MONGO_URL", "secret"),
        ("result_reader", "FOREIGN_IDS", "secret"),
        ("gpt_worker", "PREFETCH", "0"),
        ("gpt_worker", "JOB_TIMEOUT_S", "secret"),
        ("gpt_worker", "OPENAI_BASE_URL", "secret"),
    ],
)
async def test_a_malformed_setting_stops_the_start_and_is_not_repeated(
    module: str, name: str, value: str, place: Place
) -> None:
    status, output = await _run(module, place.environment | {"OPENAI_API_KEY": "sk-secret", name: value})

    assert status == 2
    assert len(output.splitlines()) == 1
    assert name in output
    assert "secret" not in output


async def test_a_taken_port_is_told_in_one_line(deployment: Deployment) -> None:
    taken = str(deployment.gateway().url.port)

    status, output = await _run("gateway", deployment.place.environment | {"HTTP_PORT": taken})

    assert status == 1
    assert output.splitlines()[-1].startswith(f"gateway: cannot start: cannot listen on 0.0.0.0:{taken}")


async def test_a_queue_with_other_arguments_stops_the_start_and_is_named(
    place: Place, application: Application
) -> None:
    await application.declare_otherwise()

    status, output = await _run("gateway", place.environment)

    assert status == 1
    assert place.queue in output.splitlines()[-1]


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(PREFETCH="2")
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    records = [await client.submit(msg=str(number)) for number in range(3)]
    await stub.until(lambda stub: stub.in_flight == 2)

    worker.process.signal(signal.SIGTERM)
    await eventually(lambda: '"draining"' in worker.logged())
    async with http.get(worker.admin_url / "healthz") as healthz, http.get(worker.admin_url / "readyz") as readyz:
        statuses = (healthz.status, readyz.status)
    gate.set()
    status = await asyncio.to_thread(worker.process.wait, 20)

    assert (statuses, status) == ((200, 503), 0)
    assert len(stub.calls) == 2
    finished = [await client.poll(record["id"]) for record in records]
    assert sorted(answer.body["status"] for answer in finished) == ["completed", "completed", "queued"]
    assert await application.depth() == 1


async def test_a_stopping_gateway_is_not_ready_and_ends_well(deployment: Deployment) -> None:
    for service in (deployment.gateway(), deployment.reader(), deployment.gateway_without_servers()):
        await asyncio.to_thread(service.process.stop)

        assert service.process.returncode == 0
        assert '"event":"stopped"' in service.logged()


async def _run(module: str, environment: dict[str, str]) -> tuple[int | None, str]:
    """Start a service that is expected to end by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(20):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, output.decode()
