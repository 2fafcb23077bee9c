"""Without Redis and MongoDB a worker keeps an answer in its hands; when it must end, the broker keeps it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from stack import ports, replies, servers
from stack.model_stub import ModelStub
from stack.process import Process
from tests.client import Client
from tests.deployment import Deployment, Place
from tests.waiting import eventually

SETTINGS = {"STORE_TIMEOUT_S": "0.5", "CACHE_TIMEOUT_S": "0.5"}


@pytest.fixture
def records_servers(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    """A Redis and a MongoDB of this test's own."""
    redis_port, mongodb_port = ports.free_ports(2)
    with ExitStack() as stack:
        redis = stack.enter_context(Process(servers.redis(tmp_path / "redis", redis_port), tmp_path / "redis.log"))
        program = servers.mongodb(tmp_path / "mongodb", mongodb_port)
        yield redis, stack.enter_context(Process(program, tmp_path / "mongodb.log"))


@pytest.fixture
def deployment(
    place: Place, stub: ModelStub, records_servers: tuple[Process, Process], tmp_path: Path
) -> Iterator[Deployment]:
    redis, mongodb = records_servers
    place.environment.update({"REDIS_URL": redis.program.url, "MONGO_URL": mongodb.program.url + place.queue})
    started = Deployment(place, stub.base_url, tmp_path)
    yield started
    started.stop()


async def test_an_answer_is_kept_and_nothing_else_begun(
    deployment: Deployment,
    stub: ModelStub,
    records_servers: tuple[Process, Process],
    http: ClientSession,
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    worker = deployment.worker(PREFETCH="2", **SETTINGS)
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    record = await client.submit(msg="paid for")
    await stub.until(lambda stub: stub.in_flight == 1)

    for server in records_servers:
        await asyncio.to_thread(server.stop)
    gate.set()
    await stub.until(lambda stub: stub.in_flight == 0)
    await client.submit(msg="later")
    await eventually(lambda: "waiting_for_server" in worker.logged())
    assert (await client.poll(record["id"])).status == 503

    worker.process.signal(signal.SIGTERM)
    await eventually(lambda: '"draining"' in worker.logged())
    worker.process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.process.wait, 30) == 0
    assert [call.prompt for call in stub.calls] == ["paid for"]
    assert '"record_kept_for_the_store"' in worker.logged()

    for server in records_servers:
        await asyncio.to_thread(server.start)
    deployment.worker(**SETTINGS)
    result = await client.result(record["id"])
    assert result["output_text"] == "You said: paid for"
    await stub.until(lambda stub: len(stub.calls) == 2, 30)
    assert [call.prompt for call in stub.calls] == ["paid for", "later"]


async def test_a_worker_that_has_saved_its_answer_ends_well_though_it_could_not_tell_the_cache(
    deployment: Deployment,
    stub: ModelStub,
    records_servers: tuple[Process, Process],
    http: ClientSession,
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    worker = deployment.worker(**SETTINGS)
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    record = await client.submit(msg="paid for")
    await stub.until(lambda stub: stub.in_flight == 1)
    cache, _ = records_servers

    await asyncio.to_thread(cache.stop)
    gate.set()
    result = await client.result(record["id"])
    worker.process.signal(signal.SIGTERM)
    await eventually(lambda: '"draining"' in worker.logged())
    worker.process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.process.wait, 30) == 0

    await asyncio.to_thread(cache.start)
    following = deployment.worker(**SETTINGS)
    await eventually(lambda: '"already_finished"' in following.logged(), 30)
    assert await client.result(record["id"]) == result
    assert len(stub.calls) == 1


async def test_a_worker_that_has_begun_nothing_gives_it_back_and_ends_at_once(
    deployment: Deployment, stub: ModelStub, records_servers: tuple[Process, Process], http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    worker = deployment.worker(MAX_ATTEMPTS="1", **SETTINGS)
    redis, _ = records_servers
    await asyncio.to_thread(redis.stop)
    record = await client.submit(msg="hello")
    await eventually(lambda: "waiting_for_server" in worker.logged())

    worker.process.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.process.wait, 30) == 0
    await asyncio.to_thread(redis.start)
    deployment.worker(MAX_ATTEMPTS="1", **SETTINGS)

    result = await client.result(record["id"])
    assert (result["status"], result["attempt"]) == ("completed", 1)
    assert len(stub.calls) == 1
