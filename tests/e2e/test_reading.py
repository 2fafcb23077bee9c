"""Polls: waiting for an answer, asking for several, and asking again for the same."""

import asyncio

import redis.asyncio
from aiohttp import ClientSession

from tests.client import Client, ask
from tests.deployment import Deployment, Place, Service
from tests.waiting import eventually


async def test_a_thousand_held_polls_cost_one_subscription_and_wake_with_their_jobs(
    deployment: Deployment, http: ClientSession, place: Place
) -> None:
    reader = deployment.reader()
    client = Client(http, deployment.gateway(), reader)
    records = await asyncio.gather(*(client.submit(msg=str(number)) for number in range(200)))

    held = [asyncio.create_task(client.poll(record["id"], wait=25)) for record in records * 5]
    await eventually(lambda: _holds(http, reader, 1000))
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        channel = f"{place.environment['REDIS_PREFIX']}finished"
        subscriptions = await cache.pubsub_numsub(channel)
    deployment.worker(PREFETCH="50")
    answers = await asyncio.gather(*held)

    assert dict(subscriptions)[channel.encode()] == 1
    assert [answer.body["output_text"] for answer in answers] == [f"You said: {n}" for n in range(200)] * 5


async def test_a_poll_that_waits_in_vain_tells_the_state(deployment: Deployment, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    record = await client.submit(msg="hello")

    answer = await client.poll(record["id"], wait=0.2)

    assert (answer.status, answer.body) == (200, record)
    assert int(answer.headers["Retry-After"]) > 0


async def test_held_polls_are_answered_when_the_reader_stops(deployment: Deployment, http: ClientSession) -> None:
    reader = deployment.reader()
    client = Client(http, deployment.gateway(), reader)
    record = await client.submit(msg="hello")

    held = asyncio.create_task(client.poll(record["id"], wait=25))
    await eventually(lambda: _holds(http, reader, 1))
    await asyncio.to_thread(reader.process.stop)

    assert (await held).body["status"] == "queued"
    assert reader.process.returncode == 0


async def test_an_unchanged_record_is_not_sent_again(system: Client) -> None:
    record = await system.submit(msg="hello")
    await system.result(record["id"])

    first = await system.poll(record["id"])
    again = await system.poll(record["id"], etag=first.headers["ETag"])
    other = await system.poll(record["id"], etag='"other"')

    assert (again.status, again.raw) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (other.status, other.raw) == (200, first.raw)
    assert "Retry-After" not in first.headers


async def test_several_jobs_are_read_at_once_and_unknown_ones_are_items(system: Client, http: ClientSession) -> None:
    records = [await system.submit(msg=str(number)) for number in range(2)]
    results = [await system.result(record["id"]) for record in records]
    forged = "job_" + "A" * 32
    ids = [records[1]["id"], forged, "never-existed", records[0]["id"], "no id at all"]

    answer = await ask(http, "GET", system.reader_url / "v1/results" % {"ids": ",".join(ids)})

    assert answer.status == 200
    items = answer.body["data"]
    assert [item["id"] for item in items] == ids
    assert (items[0], items[3]) == (results[1], results[0])
    assert [items[place]["error"]["code"] for place in (1, 2, 4)] == ["job_not_found"] * 3


async def test_an_answer_that_left_the_cache_comes_from_the_store_and_goes_back(
    deployment: Deployment, http: ClientSession, place: Place
) -> None:
    reader = deployment.reader()
    client = Client(http, deployment.gateway(), reader)
    deployment.worker()
    record = await client.submit(msg="hello")
    result = await client.poll((await client.result(record["id"]))["id"])
    key = f"{place.environment['REDIS_PREFIX']}job:{record['id']}"
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        await cache.delete(key)

        from_store = await client.poll(record["id"])

        assert from_store.raw == result.raw
        assert await cache.hget(key, "record") == result.raw
        assert 0 < await cache.ttl(key) <= 600
    assert await reader.metric(http, "gpt_jobs_lookups_total", answered_by="store") == 1
    assert (await client.poll(record["id"])).raw == result.raw
    assert await reader.metric(http, "gpt_jobs_lookups_total", answered_by="store") == 1


async def _holds(http: ClientSession, reader: Service, count: int) -> bool:
    return await reader.metric(http, "gpt_jobs_held_polls") == count
