"""A connection that breaks in the middle of calls costs no call and no job."""

import asyncio
import os

import pika
from aiohttp import ClientSession
from yarl import URL

from stack import replies
from stack.model_stub import ModelStub
from stack.servers import rabbitmqctl
from stack.tcp_proxy import TcpProxy
from tests.client import Application, Client
from tests.deployment import Deployment, Place, Servers
from tests.operators import died
from tests.waiting import eventually


async def test_calls_outlive_the_connection_that_brought_them(
    deployment: Deployment, stub: ModelStub, servers: Servers, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(PREFETCH="3")
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    records = [await client.submit(msg=str(number)) for number in range(6)]
    await stub.until(lambda stub: stub.in_flight == 3)

    await _close_all_connections(servers)
    await eventually(lambda: _consumers(deployment.place) == 1)
    gate.set()
    results = await asyncio.gather(*(client.result(record["id"]) for record in records))

    assert [result["output_text"] for result in results] == [f"You said: {number}" for number in range(6)]
    assert len(stub.calls) == 6
    assert stub.peak_in_flight == 3
    assert worker.process.running


async def test_a_worker_that_dies_without_the_broker_owes_no_dead_letter(
    deployment: Deployment, stub: ModelStub, http: ClientSession, application: Application
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    url = URL(deployment.place.environment["AMQP_URL"])
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.status(500))
    async with TcpProxy(url.port or 0) as proxy:
        settings = {"MAX_ATTEMPTS": "1", "AMQP_URL": str(url.with_port(proxy.port))}
        worker = await asyncio.to_thread(deployment.worker, **settings)
        record = await client.submit(msg="hello")
        await stub.until(lambda stub: stub.in_flight == 1)
        proxy.refuse()
        proxy.cut()
        gate.set()
        await eventually(lambda: '"waiting_for_server"' in worker.logged())
        worker.process.kill()

    deployment.worker(MAX_ATTEMPTS="1")
    await died(application, 1)
    assert (await client.result(record["id"]))["status"] == "failed"
    assert len(stub.calls) == 1


def _consumers(place: Place) -> int:
    with pika.BlockingConnection(pika.URLParameters(place.environment["AMQP_URL"])) as connection:
        declared = connection.channel().queue_declare(place.queue, passive=True).method
        return int(declared.consumer_count)


async def _close_all_connections(servers: Servers) -> None:
    process = await asyncio.create_subprocess_exec(
        *rabbitmqctl("close_all_connections", "a test"),
        env={**os.environ, **servers.rabbitmq.program.environment},
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        assert await process.wait() == 0
