"""Jobs whose message is gone from the broker are published again, under their ids."""

import asyncio

import redis.asyncio
from aio_pika.exceptions import ChannelNotFoundEntity
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import Deployment, Place, Service
from tests.waiting import eventually

# Time for the cache too: of what a busy machine does not record in time there is no copy to recover.
GRACE = {"RECOVERY_GRACE_S": "2", "CACHE_TIMEOUT_S": "5"}


async def test_jobs_whose_queue_is_deleted_are_answered_by_one_call_each(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    gateways = [deployment.gateway(**GRACE) for _ in range(2)]
    first, second = (Client(http, gateway, deployment.reader()) for gateway in gateways)
    # More than are recovered at a time.
    submitted = [(second if number % 2 else first).submit(msg=str(number)) for number in range(120)]
    records = await asyncio.gather(*submitted)

    await application.delete_job_queue()
    deployment.worker(PREFETCH="50")
    results = await asyncio.gather(*(first.result(record["id"]) for record in records))

    assert [result["output_text"] for result in results] == [f"You said: {number}" for number in range(120)]
    assert len(stub.calls) == 120
    # A job may be on its way to the worker just when the queue is found empty; without agreement it were 240.
    assert 120 <= sum([await gateway.metric(http, "gpt_jobs_recovered_total") for gateway in gateways]) <= 170
    logged = gateways[0].logged() + gateways[1].logged()
    recovered = [line for line in logged.splitlines() if '"message_recovered"' in line]
    assert all(any(record["id"] in line for line in recovered) for record in records)


async def test_jobs_of_a_purged_queue_keep_their_deadline(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(**GRACE), deployment.reader())
    early = await client.submit(msg="too late by then", deadline_s=0.5)
    record = await client.submit(msg="hello")

    await application.purge_job_queue()
    await eventually(lambda: depth_is(application, 2))
    deployment.worker()

    assert (await client.result(record["id"]))["output_text"] == "You said: hello"
    assert (await client.result(early["id"]))["error"]["code"] == "deadline_exceeded"


async def test_a_job_that_waits_for_its_next_attempt_is_recovered_with_its_count(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(**GRACE), deployment.reader())
    deployment.worker()
    stub.respond = replies.in_turn(replies.status(503, headers={"Retry-After": "2"}), replies.echo())
    record = await client.submit(msg="hello")

    await eventually(lambda: is_there(application, ".wait.4000"))
    await eventually(lambda: depth_is(application, 1, ".wait.4000"))
    await application.delete_queue(".wait.4000")

    result = await client.result(record["id"])
    assert (result["output_text"], result["attempt"]) == ("You said: hello", 2)
    assert stub.calls[1].at - stub.calls[0].at >= 2


async def test_a_job_in_a_workers_hands_is_not_recovered(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    gateway = deployment.gateway(**GRACE)
    client = Client(http, gateway, deployment.reader())
    deployment.worker(PREFETCH="1")
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    records = [await client.submit(msg="in hand")]
    await stub.until(lambda stub: stub.in_flight == 1)
    records.append(await client.submit(msg="lost"))

    await application.purge_job_queue()
    await eventually(lambda: depth_is(application, 1))
    gate.set()

    texts = [(await client.result(record["id"]))["output_text"] for record in records]
    assert texts == ["You said: in hand", "You said: lost"]
    assert len(stub.calls) == 2
    assert await gateway.metric(http, "gpt_jobs_recovered_total") == 1


async def test_what_was_answered_is_not_asked_again_when_the_cache_is_put_back_to_an_earlier_state(
    deployment: Deployment, stub: ModelStub, http: ClientSession, place: Place
) -> None:
    client = Client(http, deployment.gateway(**GRACE), deployment.reader())
    record = await client.submit(msg="hello")
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        prefix = place.environment["REDIS_PREFIX"]
        keys = [f"{prefix}job:{record['id']}", f"{prefix}waiting"]
        earlier = [await cache.dump(key) for key in keys]
        worker = deployment.worker()
        result = await client.result(record["id"])
        await eventually(lambda: settled(worker, http))
        for key, value in zip(keys, earlier, strict=True):
            await cache.restore(key, 60_000, value or b"", replace=True)

    async def reads_as_before() -> bool:
        return bool((await client.poll(record["id"])).body == result)

    assert not await reads_as_before()
    await eventually(reads_as_before, 20)
    assert len(stub.calls) == 1


async def test_a_copy_that_cannot_be_read_keeps_no_other_job_from_being_recovered(
    deployment: Deployment, application: Application, http: ClientSession, place: Place
) -> None:
    gateway = deployment.gateway(**GRACE)
    client = Client(http, gateway, deployment.reader())
    records = [await client.submit(msg=str(number)) for number in range(2)]
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        await cache.hset(f"{place.environment['REDIS_PREFIX']}job:{records[0]['id']}", "message", b"{broken")

    await application.purge_job_queue()
    deployment.worker()

    assert (await client.result(records[1]["id"]))["output_text"] == "You said: 1"
    assert '"copy_unreadable"' in gateway.logged()
    assert "broken" not in gateway.logged()


async def test_a_gateway_makes_a_deleted_queue_anew_though_nobody_submits(
    deployment: Deployment, application: Application
) -> None:
    deployment.gateway()
    await application.delete_job_queue()

    async def others_can_publish() -> bool:
        await application.publish({"id": "theirs", "msg": "hello"})
        return await application.depth() > 0

    await eventually(lambda: is_there(application))
    await eventually(others_can_publish)


async def depth_is(application: Application, depth: int, suffix: str = "") -> bool:
    return await application.depth(suffix) == depth


async def settled(worker: Service, http: ClientSession) -> bool:
    return await worker.metric(http, "gpt_jobs_deliveries_total", outcome="completed") == 1


async def is_there(application: Application, suffix: str = "") -> bool:
    try:
        await application.depth(suffix)
    except ChannelNotFoundEntity:
        return False
    return True
