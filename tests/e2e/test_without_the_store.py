"""Work goes on while MongoDB is away: answers are read from the cache, and all of them are saved when it is back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from stack import ports, servers
from stack.model_stub import ModelStub
from stack.process import Process
from tests.client import Application, Client
from tests.deployment import Deployment, Place
from tests.operators import Operator, failed_jobs
from tests.waiting import eventually

SETTINGS = {"STORE_TIMEOUT_S": "0.5"}


@pytest.fixture(scope="module", name="own_mongodb")
def running_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that only these tests stop."""
    home = tmp_path_factory.mktemp("own-mongodb")
    with Process(servers.mongodb(home / "mongodb", ports.free_port()), home / "mongodb.log") as process:
        yield process


@pytest.fixture
def deployment(place: Place, stub: ModelStub, own_mongodb: Process, tmp_path: Path) -> Iterator[Deployment]:
    place.environment["MONGO_URL"] = own_mongodb.program.url + place.queue
    started = Deployment(place, stub.base_url, tmp_path)
    yield started
    if not own_mongodb.running:
        own_mongodb.start()
    started.stop()


async def stored(place: Place) -> dict[str, bytes]:
    """The terminal records in the store, by id."""
    async with AsyncMongoClient[dict[str, Any]](place.environment["MONGO_URL"]) as client:
        documents = client.get_default_database()["results"].find({"attempt": {"$exists": False}})
        return {document["_id"]: document["record"].encode() async for document in documents}


async def test_more_jobs_than_slots_are_answered_and_later_saved_as_they_were_read(
    deployment: Deployment, stub: ModelStub, own_mongodb: Process, http: ClientSession, application: Application
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    deployment.worker(PREFETCH="2", **SETTINGS)
    await client.result((await client.submit(msg="before"))["id"])
    own_mongodb.stop()
    records = [await client.submit(msg=f"number {number}") for number in range(7)]
    results = [await client.result(record["id"]) for record in records]
    read = {result["id"]: (await client.poll(result["id"])).raw for result in results}
    assert [result["output_text"] for result in results] == [f"You said: number {number}" for number in range(7)]

    await _forget_everything(deployment.place)

    # The broker keeps the answers, and brings them back to the cache.
    async def all_are_back() -> bool:
        return all([await _reads(client, job_id, raw) for job_id, raw in read.items()])

    await eventually(all_are_back, 40)

    own_mongodb.start()

    async def all_saved() -> bool:
        return read.items() <= (await stored(deployment.place)).items()

    await eventually(all_saved, 40)
    assert len(stub.calls) == 8
    assert await application.depth() == 0


async def test_what_was_published_directly_waits_in_no_slot(
    deployment: Deployment, stub: ModelStub, own_mongodb: Process, http: ClientSession, application: Application
) -> None:
    """Only the store knows whether such a job is finished."""
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    deployment.worker(PREFETCH="1", **SETTINGS)
    own_mongodb.stop()
    await application.publish({"id": "direct", "msg": "direct"})
    submitted = await client.submit(msg="submitted")
    assert (await client.result(submitted["id"]))["status"] == "completed"
    assert [call.prompt for call in stub.calls] == ["submitted"]
    own_mongodb.start()
    await eventually(lambda: len(stub.calls) == 2, 30)
    result = await client.result("direct")
    assert (result["output_text"], result["attempt"]) == ("You said: direct", 1)


async def test_an_answer_outlives_its_worker_while_the_store_is_away(
    deployment: Deployment, stub: ModelStub, own_mongodb: Process, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    worker = deployment.worker(**SETTINGS)
    record = await client.submit(msg="hello")
    assert (await client.result(record["id"]))["status"] == "completed"
    own_mongodb.stop()
    other = await client.submit(msg="kept")
    await client.result(other["id"])
    worker.process.stop()
    assert worker.process.returncode == 0
    own_mongodb.start()
    deployment.worker(**SETTINGS)

    async def saved() -> bool:
        return other["id"] in await stored(deployment.place)

    await eventually(saved, 40)
    assert len(stub.calls) == 2


async def test_a_follow_up_waits_for_an_answer_that_is_still_to_be_saved(
    deployment: Deployment, stub: ModelStub, own_mongodb: Process, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(**SETTINGS), deployment.reader(**SETTINGS))
    worker = deployment.worker(RETRY_DELAY_S="0.5", **SETTINGS)
    await client.result((await client.submit(msg="before"))["id"])
    own_mongodb.stop()
    first = await client.result((await client.submit(msg="first"))["id"])
    second = await client.submit(msg="second", options={"parent_id": first["id"]})

    async def has_waited() -> bool:
        return await worker.metric(http, "gpt_jobs_deliveries_total", outcome="postponed") >= 1

    await eventually(has_waited)
    own_mongodb.start()
    result = await client.result(second["id"])
    assert (result["output_text"], result["attempt"]) == ("You said: second", 1)
    assert [message["content"] for message in stub.calls[-1].messages] == ["first", "You said: first", "second"]


async def test_a_job_that_failed_meanwhile_is_replayed_only_when_the_store_knows(
    deployment: Deployment,
    stub: ModelStub,
    own_mongodb: Process,
    http: ClientSession,
    application: Application,
    operator: Operator,
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(**SETTINGS))
    worker = deployment.worker(MAX_ATTEMPTS="1", **SETTINGS)
    own_mongodb.stop()
    (job_id,) = await failed_jobs(client, application, stub, 1)
    await client.result(job_id)
    worker.process.stop()
    own_mongodb.start()

    early = await operator.dead("replay", job_id)
    deployment.worker(**SETTINGS)

    async def saved() -> bool:
        return job_id in await stored(deployment.place)

    await eventually(saved, 40)
    late = await operator.dead("replay", job_id)

    assert ("0 replayed" in early.out, "1 replayed" in late.out) == (True, True)
    assert (await client.result(job_id))["output_text"] == "You said: number 0"


async def _forget_everything(place: Place) -> None:
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        keys = [key async for key in redis.scan_iter(f"{place.environment['REDIS_PREFIX']}job:*")]
        await redis.delete(*keys)


async def _reads(client: Client, job_id: str, raw: bytes) -> bool:
    answer = await client.poll(job_id)
    assert answer.status in (200, 503), answer.body
    return answer.raw == raw


async def test_that_a_job_was_cancelled_comes_to_the_store_later(
    deployment: Deployment, stub: ModelStub, own_mongodb: Process, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(**SETTINGS), deployment.reader(**SETTINGS))
    own_mongodb.stop()
    record = await client.submit(msg="hello")
    cancelled = await client.cancel(record["id"])
    assert cancelled.body["status"] == "cancelled"
    own_mongodb.start()
    deployment.worker(**SETTINGS)
    await eventually(lambda: _is_stored(deployment.place, record["id"], cancelled.raw), 20)

    await _forget_everything(deployment.place)
    assert (await client.poll(record["id"])).raw == cancelled.raw
    assert stub.calls == []


async def _is_stored(place: Place, job_id: str, record: bytes) -> bool:
    return (await stored(place)).get(job_id) == record
