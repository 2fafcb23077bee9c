"""Of a deleted job nothing is left, wherever it stood; and whoever asks is told so."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from common.ids import JobIds
from stack import ports, replies, servers
from stack.model_stub import ModelStub
from stack.process import Process
from tests.client import Answer, Application, Client, ask
from tests.deployment import JOB_ID_KEY, Deployment, Place, Service
from tests.operators import Operator, died
from tests.stored import document_of, everything_in
from tests.waiting import eventually

SECRET = "the maiden name of my mother"


@pytest.fixture
def client(deployment: Deployment, http: ClientSession) -> Client:
    return Client(http, deployment.gateway(), deployment.reader())


async def is_gone(client: Client, http: ClientSession, job_id: str) -> None:
    for answer in (await client.poll(job_id), await client.cancel(job_id)):
        assert (answer.status, answer.body["error"]["code"]) == (410, "job_deleted")
    several = await ask(http, "GET", client.reader_url.with_path("/v1/results") % {"ids": job_id})
    assert several.body["data"][0]["error"]["code"] == "job_deleted"
    assert (await client.query(job_id)).body["model"] == {"done": True}
    again = await client.delete(job_id)
    assert (again.status, again.raw) == (204, b"")


async def test_of_an_answered_job_neither_prompt_nor_answer_is_left(
    client: Client, deployment: Deployment, http: ClientSession
) -> None:
    deployment.worker()
    record = await client.submit(msg=SECRET, metadata={"note": SECRET})
    await client.result(record["id"])
    assert SECRET in await everything_in(deployment.place)

    assert (await client.delete(record["id"])).status == 204
    await is_gone(client, http, record["id"])
    assert SECRET not in await everything_in(deployment.place)

    await _empty_the_cache(deployment.place)
    await is_gone(client, http, record["id"])


async def test_a_waiting_one_never_reaches_the_model(
    client: Client, deployment: Deployment, stub: ModelStub, http: ClientSession, application: Application
) -> None:
    record = await client.submit(msg=SECRET)
    assert (await client.delete(record["id"])).status == 204
    await is_gone(client, http, record["id"])

    worker = deployment.worker()
    await client.result((await client.submit(msg="another"))["id"])
    assert [call.prompt for call in stub.calls] == ["another"]
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="deleted") == 1
    assert await application.depth() == 0
    await is_gone(client, http, record["id"])
    assert SECRET not in await everything_in(deployment.place)


async def test_nor_does_it_if_the_cache_has_forgotten(
    client: Client, deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    record = await client.submit(msg=SECRET)
    await client.delete(record["id"])
    await _empty_the_cache(deployment.place)
    worker = deployment.worker()
    await client.result((await client.submit(msg="another"))["id"])
    assert len(stub.calls) == 1
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="deleted") == 1
    await is_gone(client, http, record["id"])


async def test_of_a_running_one_the_call_is_closed_and_nothing_is_saved(
    client: Client, deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    worker = deployment.worker()
    stub.respond = replies.hang()
    record = await client.submit(msg=SECRET)
    await stub.until(lambda stub: stub.in_flight == 1)
    held = asyncio.create_task(client.poll(record["id"], wait=20))
    assert (await client.delete(record["id"])).status == 204
    await eventually(lambda: stub.in_flight == 0, 1)
    assert (await held).status == 410
    await eventually(lambda: _settled_as_deleted(http, worker))
    await is_gone(client, http, record["id"])
    assert set(await document_of(deployment.place, record["id"])) == {"_id", "deleted", "delete_at"}


async def test_a_stream_of_it_ends_and_cannot_be_gone_on_with(
    client: Client, deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    worker = deployment.worker()
    stub.respond = replies.text(" ".join([SECRET] * 500), pause=0.05)
    record = await client.submit(msg="x")
    url = client.reader_url.with_path(f"/v1/results/{record['id']}/stream")
    async with http.get(url) as stream:
        told = await stream.content.readuntil(b"event: delta")
        assert (await client.delete(record["id"])).status == 204
        told += await stream.content.read()
    assert b"event: completed" not in told
    assert b"event: cancelled" not in told
    assert (await ask(http, "GET", url)).body["error"]["code"] == "job_deleted"
    await eventually(lambda: _settled_as_deleted(http, worker))
    assert SECRET not in await everything_in(deployment.place)


async def test_at_whatever_moment_nothing_is_left(client: Client, deployment: Deployment, stub: ModelStub) -> None:
    for _ in range(2):
        deployment.worker(PREFETCH="4", RETRY_DELAY_S="0.05")
    stub.respond = replies.echo(delay=0.1)

    async def life(number: int) -> tuple[str, Answer]:
        record = await client.submit(msg=f"{SECRET} {number}")
        await asyncio.sleep(number % 20 * 0.02)
        return record["id"], await client.delete(record["id"])

    lives = await asyncio.gather(*(life(number) for number in range(80)))
    await client.result((await client.submit(msg="the last"))["id"])
    await eventually(lambda: stub.in_flight == 0)
    for job_id, answer in lives:
        assert answer.status == 204
        assert (await client.poll(job_id)).status == 410
    assert SECRET not in await everything_in(deployment.place)


async def test_a_dead_letter_of_it_cannot_be_replayed(
    impatient: Client, stub: ModelStub, application: Application, operator: Operator
) -> None:
    stub.respond = replies.status(500)
    record = await impatient.submit(msg=SECRET)
    await impatient.result(record["id"])
    await died(application, 1)
    assert (await impatient.delete(record["id"])).status == 204
    printed = await operator.dead("replay", "--all")
    assert printed.status == 0
    assert "removed: the job was deleted" in printed.out
    assert await application.depth(".dead") == 0
    assert (await impatient.poll(record["id"])).status == 410
    assert len(stub.calls) == 1


async def test_what_never_was_cannot_be_deleted_and_what_has_expired_can(system: Client) -> None:
    for job_id in ("job_" + "A" * 32, JobIds([JOB_ID_KEY]).mint("someone"), "unknown"):
        answer = await system.delete(job_id)
        assert (answer.status, answer.body["error"]["code"]) == (404, "job_not_found")
    assert (await system.delete(JobIds([JOB_ID_KEY]).mint(now=1_700_000_000))).status == 204


@pytest.fixture
def own_mongodb(tmp_path: Path) -> Iterator[Process]:
    with Process(servers.mongodb(tmp_path / "mongodb", ports.free_port()), tmp_path / "mongodb.log") as process:
        yield process


async def test_without_the_store_it_is_to_be_tried_again(
    deployment: Deployment, place: Place, http: ClientSession, own_mongodb: Process
) -> None:
    place.environment["MONGO_URL"] = own_mongodb.program.url + place.queue
    place.environment["STORE_TIMEOUT_S"] = "0.5"
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()
    record = await client.submit(msg=SECRET)
    await client.result(record["id"])
    own_mongodb.stop()
    answer = await client.delete(record["id"])
    assert (answer.status, answer.body["error"]["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) > 0

    own_mongodb.start()
    await eventually(lambda: _is_deleted(client, record["id"]), 20)
    await is_gone(client, http, record["id"])
    assert SECRET not in await everything_in(place)


async def _is_deleted(client: Client, job_id: str) -> bool:
    return (await client.delete(job_id)).status == 204


async def _settled_as_deleted(http: ClientSession, worker: Service) -> bool:
    return await worker.metric(http, "gpt_jobs_deliveries_total", outcome="deleted") == 1


async def _empty_the_cache(place: Place) -> None:
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        async for key in redis.scan_iter(place.environment["REDIS_PREFIX"] + "job:*"):
            await redis.delete(key)
