"""Jobs are accepted and states are told while Redis is away, frozen, or answers with errors only."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from aiohttp import ClientSession

from common.ids import JobIds
from stack import ports, replies, servers
from stack.model_stub import ModelStub
from stack.process import Process
from tests.client import Client, ask
from tests.deployment import JOB_ID_KEY, Deployment, Place, Service
from tests.waiting import eventually

#: A wait for Redis and one for MongoDB, on a machine that has other things to do.
SOON_S = 2.5

Fault = Callable[[Process], AbstractAsyncContextManager[None]]


@pytest.fixture(scope="module", name="own_redis")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that only these tests trouble."""
    home = tmp_path_factory.mktemp("own-redis")
    with Process(servers.redis(home / "redis", ports.free_port()), home / "redis.log") as process:
        yield process


@pytest.fixture
def deployment(place: Place, stub: ModelStub, own_redis: Process, tmp_path: Path) -> Iterator[Deployment]:
    place.environment["REDIS_URL"] = own_redis.program.url
    started = Deployment(place, stub.base_url, tmp_path)
    yield started
    started.stop()


@asynccontextmanager
async def stopped(own_redis: Process) -> AsyncIterator[None]:
    await asyncio.to_thread(own_redis.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(own_redis.start)


@asynccontextmanager
async def frozen(own_redis: Process) -> AsyncIterator[None]:
    own_redis.freeze()
    try:
        yield
    finally:
        own_redis.thaw()


@asynccontextmanager
async def locked(own_redis: Process) -> AsyncIterator[None]:
    """It asks for a password that nobody has."""
    url = own_redis.program.url
    async with redis.asyncio.Redis.from_url(url) as server:
        await server.config_set("requirepass", "secret")
    async with redis.asyncio.Redis.from_url(url, password="secret") as server:
        for kind in ("normal", "pubsub"):
            await server.client_kill_filter(_type=kind, skipme=True)
        try:
            yield
        finally:
            await server.config_set("requirepass", "")


@asynccontextmanager
async def full(own_redis: Process) -> AsyncIterator[None]:
    """It refuses every write, and can be read."""
    async with redis.asyncio.Redis.from_url(own_redis.program.url) as server:
        await server.config_set("maxmemory", "1")
        try:
            yield
        finally:
            await server.config_set("maxmemory", "0")


class Jobs:
    """One job in each state, and the gate that holds back all but the first."""

    def __init__(self, client: Client, stub: ModelStub) -> None:
        self._client = client
        self._stub = stub
        self.gate = asyncio.Event()
        self.ids: dict[str, str] = {}

    async def submit(self) -> None:
        self.ids["completed"] = (await self._client.submit(msg="one"))["id"]
        await self._client.result(self.ids["completed"])
        self._stub.respond = replies.after(self.gate, replies.echo())
        self.ids["in_progress"] = (await self._client.submit(msg="two"))["id"]
        await self._stub.until(lambda stub: stub.in_flight == 1)
        self.ids["queued"] = (await self._client.submit(msg="three"))["id"]

    async def told(self) -> dict[str, str]:
        """What is told of each, soon."""
        return {expected: await self._status(job_id) for expected, job_id in self.ids.items()}

    async def _status(self, job_id: str) -> str:
        began = time.monotonic()
        answer = await self._client.poll(job_id)
        assert time.monotonic() - began < SOON_S
        assert answer.status == 200, answer.body
        status: str = answer.body["status"]
        return status


async def readiness(http: ClientSession, service: Service) -> tuple[int, Any]:
    answer = await ask(http, "GET", service.admin_url / "readyz")
    return answer.status, answer.body["status"]


@pytest.mark.parametrize("fault", [stopped, frozen, locked, full])
async def test_the_truth_is_told_and_jobs_are_accepted(
    fault: Fault, deployment: Deployment, stub: ModelStub, own_redis: Process, http: ClientSession
) -> None:
    gateway, reader = deployment.gateway(), deployment.reader()
    deployment.worker(PREFETCH="1")
    client = Client(http, gateway, reader)
    jobs = Jobs(client, stub)
    await jobs.submit()
    first = await client.poll(jobs.ids["completed"])
    as_before = {status: status for status in jobs.ids}

    async with fault(own_redis):
        for _ in range(3):
            assert await jobs.told() == as_before
        assert (await client.poll(jobs.ids["completed"])).raw == first.raw
        accepted = await client.submit(msg="four")
        assert (await client.poll(accepted["id"])).body["status"] == "queued"
        held = await client.poll(jobs.ids["in_progress"], wait=1)
        assert (held.status, held.body["status"]) == (200, "in_progress")
        assert (await client.query(jobs.ids["queued"])).body["model"] == {"pending": True}
        state = "ok" if fault is full else "degraded"
        assert [await readiness(http, service) for service in (gateway, reader)] == [(200, state)] * 2
        unknown = await client.poll("a-foreign-id")
        assert unknown.body["error"]["code"] == ("job_not_found" if fault is full else "cache_unavailable")

    await eventually(lambda: _is_ready(http, gateway, reader))
    assert await jobs.told() == as_before
    jobs.gate.set()
    for job_id in (*jobs.ids.values(), accepted["id"]):
        assert (await client.result(job_id))["status"] == "completed"
    assert len(stub.calls) == 4


@pytest.mark.parametrize("fault", [stopped, frozen, locked])
async def test_held_polls_are_answered_from_the_store(
    fault: Fault, deployment: Deployment, stub: ModelStub, own_redis: Process, http: ClientSession
) -> None:
    reader = deployment.reader()
    client = Client(http, deployment.gateway(), reader)
    deployment.worker(PREFETCH="1")
    jobs = Jobs(client, stub)
    await jobs.submit()
    held = asyncio.create_task(client.poll(jobs.ids["in_progress"], wait=25))
    await eventually(lambda: _holds_one(http, reader))

    async with fault(own_redis):
        jobs.gate.set()
        answer = await asyncio.wait_for(held, 15)

    assert answer.body["status"] == "completed"


async def test_a_reader_with_neither_is_not_ready_and_knows_nothing(
    deployment: Deployment, own_redis: Process, http: ClientSession
) -> None:
    reader = deployment.reader(MONGO_URL=f"mongodb://127.0.0.1:{ports.free_port()}/", STORE_TIMEOUT_S="0.5")
    client = Client(http, deployment.gateway(), reader)
    record = await client.submit(msg="hello")
    assert await readiness(http, reader) == (200, "degraded")
    assert (await client.poll(record["id"])).body == record

    async with stopped(own_redis):
        assert await readiness(http, reader) == (503, "unavailable")
        for job_id in (record["id"], JobIds([JOB_ID_KEY]).mint(now=1_700_000_000), "a-foreign-id"):
            answer = await client.poll(job_id)
            assert (answer.status, answer.body["error"]["code"]) == (503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert (await client.query(record["id"])).body["model"] == {"pending": True}


async def _is_ready(http: ClientSession, *services: Service) -> bool:
    return all([await readiness(http, service) == (200, "ok") for service in services])


async def _holds_one(http: ClientSession, reader: Service) -> bool:
    return await reader.metric(http, "gpt_jobs_held_polls") == 1
