"""Jobs and polls of every kind for a while, so that each line of each panel has something to show."""

import asyncio
import random
import time

import aio_pika

from stack import replies
from stack.replies import Call, Reply
from tests.client import Application
from tests.dashboards.live.scraped import Scraped
from tests.operators import INVALID

MODELS = ("stub-model", "stub-model", "stub-model-large")
#: What the prompt begins with, and what then happens; any other is answered.
FATES = {
    "limited": replies.status(429, headers={"Retry-After": "1"}),
    "down": replies.status(500),
    "refused": replies.status(400),
    "unpaid": replies.status(429, code="insufficient_quota"),
    "filtered": replies.text("no", finish_reason="content_filter"),
}


async def upstream(call: Call) -> Reply:
    """A model that takes its time, and fails where the prompt says so; a limit is mostly over at the next attempt."""
    fate = call.prompt.partition(" ")[0]
    if fate in FATES and not (fate == "limited" and random.random() < 0.7):
        return await FATES[fate](call)
    slow = 3 if call.model.endswith("large") else 1
    return Reply(body=replies.completion(call, f"{call.prompt} " * 3), delay=slow * random.uniform(0.2, 0.7))


async def put_on(scraped: Scraped, *phases: tuple[float, float]) -> None:
    """Load in phases, each of so many seconds with so many jobs in each; returns when all have come to their end."""
    scraped.stub.respond = upstream
    clients = set()
    async with await aio_pika.connect(scraped.place.environment["AMQP_URL"]) as connection:
        application = Application(scraped.place, connection)
        for seconds, jobs_per_s in phases:
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at:
                clients.add(asyncio.create_task(_one_client(scraped)))
                await _straight_to_the_broker(application)
                await asyncio.sleep(random.expovariate(jobs_per_s))
        await asyncio.gather(*clients)


async def _straight_to_the_broker(application: Application) -> None:
    """Now and then a job, or what is none."""
    if random.random() < 0.1:
        await application.publish({"id": f"foreign-{random.getrandbits(40)}", "msg": "hello"})
    if random.random() < 0.01:
        await application.publish(INVALID)


async def _one_client(scraped: Scraped) -> None:
    client = scraped.client
    fate = random.choice([*FATES, *["a question"] * 60])
    if random.random() < 0.1:
        answer = await client.post("/predict/start", {"gender": "男", "birth": "1990-01-31"})
        await client.query(answer.body["model"]["reqId"])
        return
    job = await client.submit(
        msg=f"{fate} {'word ' * random.randint(1, 40)}", options={"model": random.choice(MODELS)}
    )
    if random.random() < 0.3:
        await client.poll(job["id"])
    await client.result(job["id"])
    if random.random() < 0.2:
        await asyncio.sleep(6)  # until the cache has forgotten it
        await client.poll(job["id"])
    if random.random() < 0.1:
        await client.poll("job_that-never-was")
