"""A container that is told to stop ends within the grace of its manifest, and loses nothing."""

import asyncio
import time

import redis.asyncio
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import Place, Servers
from tests.images.release import Container, Release
from tests.waiting import eventually


async def test_a_worker_finishes_and_saves_the_call_in_its_hands(
    deployment: Release, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(JOB_TIMEOUT_S="20", PREFETCH="1")
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    record = await client.submit(msg="hello")
    await stub.until(lambda stub: stub.in_flight == 1)
    waiting = await client.submit(msg="not begun")

    stopping = asyncio.create_task(asyncio.to_thread(_stop, worker))
    await eventually(lambda: '"draining"' in worker.logged())
    gate.set()
    status, took_s = await stopping

    assert status == 0
    assert took_s < worker.pod.grace_s
    assert (await client.result(record["id"]))["output_text"] == "You said: hello"
    assert (await client.poll(waiting["id"])).body["status"] == "queued"
    assert (len(stub.calls), await application.depth()) == (1, 1)


async def test_a_worker_is_not_held_up_by_a_model_that_never_answers(
    deployment: Release, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(JOB_TIMEOUT_S="1")
    stub.respond = replies.hang()
    record = await client.submit(msg="hello")
    await stub.until(lambda stub: stub.in_flight == 1)

    status, took_s = await asyncio.to_thread(_stop, worker)

    assert status == 0
    assert took_s < worker.pod.grace_s
    assert (await client.poll(record["id"])).body["status"] == "in_progress"


async def test_a_reader_answers_the_polls_that_it_holds(deployment: Release, http: ClientSession) -> None:
    reader = deployment.reader()
    client = Client(http, deployment.gateway(), reader)
    record = await client.submit(msg="hello")
    held = asyncio.create_task(client.poll(record["id"], wait=25))
    await eventually(lambda: _holds(http, reader))

    status, took_s = await asyncio.to_thread(_stop, reader)

    assert ((await held).status, (await held).body["status"]) == (200, "queued")
    assert status == 0
    assert took_s < reader.pod.grace_s


async def test_a_gateway_answers_for_the_job_that_it_is_publishing(
    deployment: Release, servers: Servers, place: Place, http: ClientSession
) -> None:
    gateway, reader = deployment.gateway(), deployment.reader()
    client = Client(http, gateway, reader)
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        servers.rabbitmq.freeze()
        try:
            submitting = asyncio.create_task(client.submit(msg="hello"))
            await eventually(lambda: cache.keys(f"{place.environment['REDIS_PREFIX']}job:*"))
            stopping = asyncio.create_task(asyncio.to_thread(_stop, gateway))
            await eventually(lambda: '"stopping"' in gateway.logged())
        finally:
            servers.rabbitmq.thaw()
    record = await submitting
    status, took_s = await stopping

    assert (await client.poll(record["id"])).body["status"] == "queued"
    assert status == 0
    assert took_s < gateway.pod.grace_s


def _stop(container: Container) -> tuple[int, float]:
    """The exit status, and the seconds it took."""
    began = time.monotonic()
    return container.stop(), time.monotonic() - began


async def _holds(http: ClientSession, reader: Container) -> bool:
    return await reader.metric(http, "gpt_jobs_held_polls") == 1
