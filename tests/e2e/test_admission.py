"""With a bound on the queue, submissions beyond it are refused at once, and leave no trace."""

import asyncio
from collections import Counter

import redis.asyncio
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import Deployment, Place, Service
from tests.waiting import eventually

FORTUNE = {"gender": "男", "birth": "1990-01-31"}


def client_of(deployment: Deployment, http: ClientSession, gateway: Service) -> Client:
    return Client(http, gateway, deployment.reader())


async def test_the_first_beyond_the_bound_is_refused_at_both_doors(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    gateway = deployment.gateway(MAX_QUEUE_DEPTH="3")
    client = client_of(deployment, http, gateway)
    for number in range(3):
        await client.submit(msg=str(number))

    refused = await client.post("/v1/jobs", {"msg": "one too many"})
    predict = await client.post("/predict/start", FORTUNE)
    invalid = await client.post("/v1/jobs", {"msg": ""})
    invalid_template = await client.post("/v1/jobs", {"template": "fortune", "inputs": {"gender": "?"}})

    for answer in (refused, predict):
        error = answer.body["error"]
        assert (answer.status, error["code"], error["type"], error["retryable"]) == (
            429,
            "queue_full",
            "rate_limit_error",
            True,
        )
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert (predict.body["isOk"], predict.body["model"]) == (False, {})
    assert predict.body["errMsg"]
    assert (invalid.status, invalid_template.status) == (400, 400)
    assert await gateway.metric(http, "gpt_jobs_refused_total", code="queue_full") == 2
    assert await application.depth() == 3
    assert await recorded(deployment.place) == 3


async def test_hundreds_at_once_do_not_pass_the_bound(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    # Long enough for a busy machine: what was not recorded in time would be published all the same.
    client = client_of(deployment, http, deployment.gateway(MAX_QUEUE_DEPTH="50", CACHE_TIMEOUT_S="20"))

    answers = await asyncio.gather(*(client.post("/v1/jobs", {"msg": str(number)}) for number in range(300)))

    assert Counter(answer.status for answer in answers) == {202: 50, 429: 250}
    assert await application.depth() == 50
    assert await recorded(deployment.place) == 50


async def test_each_job_that_a_worker_takes_makes_place(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    client = client_of(deployment, http, deployment.gateway(MAX_QUEUE_DEPTH="3"))
    for number in range(3):
        await client.submit(msg=str(number))
    stub.respond = replies.hang()
    deployment.worker(PREFETCH="2")
    await stub.until(lambda stub: stub.in_flight == 2)

    accepted = 0

    async def two_more() -> bool:
        nonlocal accepted
        accepted += (await client.post("/v1/jobs", {"msg": "more"})).status == 202
        return accepted == 2

    await eventually(two_more)
    assert await application.depth() == 3
    assert (await client.post("/v1/jobs", {"msg": "one too many"})).status == 429


async def test_what_others_publish_counts_and_can_be_taken_back(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = client_of(deployment, http, deployment.gateway(MAX_QUEUE_DEPTH="5"))
    for number in range(5):
        await application.publish({"id": f"their-{number}", "msg": "hello"})

    await eventually(lambda: answers(client, 429))
    await application.delete_job_queue()
    await eventually(lambda: answers(client, 202))


async def test_two_gateways_learn_of_each_other(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    reader = deployment.reader()
    first, second = (Client(http, deployment.gateway(MAX_QUEUE_DEPTH="10"), reader) for _ in range(2))
    for number in range(10):
        await first.submit(msg=str(number))

    await eventually(lambda: answers(second, 429))
    assert (await first.post("/v1/jobs", {"msg": "one too many"})).status == 429
    assert 10 <= await application.depth() <= 20


async def answers(client: Client, status: int) -> bool:
    return (await client.post("/v1/jobs", {"msg": "hello"})).status == status


async def recorded(place: Place) -> int:
    """How many jobs the cache knows of."""
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as client:
        return len(await client.keys(f"{place.environment['REDIS_PREFIX']}job:*"))
