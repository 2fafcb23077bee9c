"""The prefetch is the concurrency, counted where it costs money: at the upstream."""

import asyncio
from collections import Counter
from typing import Any

import pymongo
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Client
from tests.deployment import Deployment, Place


async def test_a_worker_never_makes_more_calls_at_once_than_its_prefetch(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    stub.respond = replies.echo(delay=0.05)
    records = [await client.submit(msg=str(number)) for number in range(30)]

    deployment.worker(PREFETCH="3")
    await asyncio.gather(*(client.result(record["id"]) for record in records))

    assert stub.peak_in_flight == 3


async def test_two_workers_make_twice_as_many(deployment: Deployment, stub: ModelStub, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    stub.respond = replies.hang()
    deployment.worker(PREFETCH="3")
    deployment.worker(PREFETCH="3")

    for number in range(12):
        await client.submit(msg=str(number))
    await stub.until(lambda stub: stub.in_flight == 6)

    assert stub.peak_in_flight == 6


async def test_a_thousand_jobs_at_once_through_ten_slots(
    deployment: Deployment, stub: ModelStub, http: ClientSession, place: Place
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    worker = deployment.worker(PREFETCH="10")

    records = await asyncio.gather(*(client.submit(msg=f"number {number}") for number in range(1000)))
    await stub.until(lambda stub: stub.in_flight == 10)
    finds_before = _finds(place)
    polls = await asyncio.gather(*(client.poll(record["id"]) for record in records))
    finds_after = _finds(place)
    gate.set()
    results = await asyncio.gather(*(client.result(record["id"]) for record in records))

    assert Counter(poll.body["status"] for poll in polls) == {"queued": 990, "in_progress": 10}
    assert finds_after == finds_before
    assert [result["output_text"] for result in results] == [f"You said: number {n}" for n in range(1000)]
    assert stub.peak_in_flight == 10
    assert await worker.metric(http, "gpt_jobs_finished_total", status="completed") == 1000


def _finds(place: Place) -> int:
    """How many queries the store has answered since it was started; ours are the only ones but for other tests."""
    with pymongo.MongoClient[dict[str, Any]](place.environment["MONGO_URL"]) as mongo:
        counters = mongo.admin.command("serverStatus")["opcounters"]
    return int(counters["query"])
