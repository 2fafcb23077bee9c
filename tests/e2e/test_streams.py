"""A job's answer while it is written: told from the first word, whole after every drop, on any reader."""

import asyncio
import json
import random
import time
from typing import Any

import pytest
import redis.asyncio
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Client, ask
from tests.deployment import Deployment, Place, Service
from tests.followers import Follower
from tests.waiting import eventually

LONG = " ".join(f"word-{number} 世界 👋" for number in range(200))


@pytest.fixture
def readers(deployment: Deployment) -> list[Service]:
    return [deployment.reader(), deployment.reader()]


@pytest.fixture
def client(deployment: Deployment, http: ClientSession, readers: list[Service]) -> Client:
    deployment.worker(RETRY_DELAY_S="0.05")
    return Client(http, deployment.gateway(), readers[0])


async def test_the_text_is_told_as_it_comes_and_equals_the_answer(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service]
) -> None:
    stub.respond = replies.text(LONG, pause=0.02)
    record = await client.submit(msg="hello")
    follower = Follower(http, record["id"])
    end = await follower.follow(readers[0].url)
    assert (end["status"], end["output_text"], follower.text) == ("completed", LONG, LONG)
    assert [event.name for event in follower.told][:1] == ["status"]
    assert sum(event.name == "delta" for event in follower.told) > 5
    assert end == (await client.poll(record["id"])).body


async def test_the_first_word_is_there_at_once(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service]
) -> None:
    sent = []

    async def respond(call: replies.Call) -> replies.Reply:
        sent.append(time.monotonic())
        return replies.Reply(body=replies.completion(call, LONG), pause=0.05)

    stub.respond = respond
    for _ in range(3):  # the first makes connections
        record = await client.submit(msg="hello")
        follower = Follower(http, record["id"])
        while not follower.text:
            await follower.follow(readers[0].url, most=1)
        sent.append(time.monotonic())
        await client.result(record["id"])
    assert sent[-1] - sent[-2] < 1


async def test_cut_at_random_and_gone_on_with_elsewhere_no_word_is_lost_or_told_twice(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service]
) -> None:
    stub.respond = replies.text(LONG, pause=0.02)
    chance = random.Random(6)
    followers = [Follower(http, (await client.submit(msg=str(number)))["id"]) for number in range(10)]

    async def follow(follower: Follower) -> None:
        while not follower.end:
            await follower.follow(chance.choice(readers).url, most=chance.randint(1, 9))

    await asyncio.gather(*(follow(follower) for follower in followers))
    assert [follower.text for follower in followers] == [LONG] * 10


async def test_a_new_attempt_says_so_and_its_text_alone_counts(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service]
) -> None:
    async def breaks_off(call: replies.Call) -> replies.Reply:
        return replies.Reply(body=replies.completion(call, LONG), pause=0.02, reset_after=3000)

    stub.respond = replies.in_turn(breaks_off, replies.text("another answer", pause=0.05))
    follower = Follower(http, (await client.submit(msg="hello"))["id"])
    end = await follower.follow(readers[0].url)
    attempts = [event.data["attempt"] for event in follower.told if event.name == "status"]
    assert attempts[-2:] == [1, 2]
    assert (follower.text, end["output_text"], end["attempt"]) == ("another answer", "another answer", 2)


async def test_a_running_record_has_the_text_so_far(client: Client, stub: ModelStub) -> None:
    stub.respond = replies.text(LONG, pause=0.05)
    record = await client.submit(msg="hello")

    async def has_some() -> bool:
        body = (await client.poll(record["id"])).body
        return body["status"] == "in_progress" and bool(body["output_text"])

    await eventually(has_some)
    body = (await client.poll(record["id"])).body
    assert LONG.startswith(body["output_text"])


@pytest.mark.parametrize("settings", [{"STREAMING": "false"}, {}], ids=["worker", "job"])
async def test_without_streaming_the_text_comes_whole(
    deployment: Deployment, http: ClientSession, stub: ModelStub, settings: dict[str, str]
) -> None:
    reader = deployment.reader()
    client = Client(http, deployment.gateway(), reader)
    deployment.worker(**settings)
    options = {} if settings else {"options": {"stream": False}}
    record = await client.submit(msg="hello", **options)
    follower = Follower(http, record["id"])
    await follower.follow(reader.url)
    assert follower.text == "You said: hello"
    assert not stub.calls[0].body.get("stream")


async def test_an_upstream_that_does_not_stream_is_understood(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service]
) -> None:
    async def whole(call: replies.Call) -> replies.Reply:
        body = json.dumps(replies.completion(call, "whole"))
        return replies.Reply(body=body, headers={"Content-Type": "application/json"})

    stub.respond = whole
    follower = Follower(http, (await client.submit(msg="hello"))["id"])
    await follower.follow(readers[0].url)
    assert follower.text == "whole"


async def test_the_same_events_as_json(client: Client, http: ClientSession, stub: ModelStub) -> None:
    stub.respond = replies.text(LONG, pause=0.02)
    record = await client.submit(msg="hello")
    url = client.reader_url.with_path(f"/v1/results/{record['id']}/events")
    after, text, names = 0, "", list[str]()
    while not names or names[-1] != "completed":
        answer = await ask(http, "GET", url % {"after": after, "wait": 20})
        assert answer.status == 200
        names += [event["event"] for event in answer.body["data"]]
        text += "".join(event["data"]["text"] for event in answer.body["data"] if event["event"] == "delta")
        after = answer.body["after"]
    assert text == LONG
    assert (await ask(http, "GET", url % {"after": after, "wait": 20})).body == {"data": [], "after": after}


@pytest.mark.parametrize("end", ["stream", "events"])
@pytest.mark.parametrize(
    ("job", "query", "status", "param"),
    [
        ("known", {"after": "99999999999"}, 400, "after"),
        ("known", {"after": "-1"}, 400, "after"),
        ("known", {"after": "x"}, 400, "after"),
        ("known", {"after": ""}, 400, "after"),
        ("unknown", {}, 404, None),
    ],
)
async def test_what_cannot_be_told_is_an_error(
    system: Client, http: ClientSession, end: str, job: str, query: dict[str, str], status: int, param: str | None
) -> None:
    known = await system.submit(msg="hello")
    job_id = known["id"] if job == "known" else "job_" + "A" * 32
    answer = await ask(http, "GET", system.reader_url.with_path(f"/v1/results/{job_id}/{end}") % query)
    assert (answer.status, answer.body["error"]["param"]) == (status, param)


async def test_a_wrong_last_event_id_names_the_header(system: Client, http: ClientSession) -> None:
    known = await system.submit(msg="hello")
    url = system.reader_url.with_path(f"/v1/results/{known['id']}/stream")
    answer = await ask(http, "GET", url, headers={"Last-Event-ID": "soon"})
    assert (answer.status, answer.body["error"]["param"]) == (400, "Last-Event-ID")


async def test_a_reader_that_stops_ends_its_streams_and_another_goes_on(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service]
) -> None:
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.text("hello there"))
    follower = Follower(http, (await client.submit(msg="hello"))["id"])
    first = asyncio.create_task(follower.follow(readers[0].url))
    # That it runs; that it waited before may have passed by.
    await eventually(lambda: follower.attempt == 1)
    await asyncio.to_thread(readers[0].process.stop)
    assert await first is None
    assert readers[0].process.returncode == 0
    gate.set()
    await follower.follow(readers[1].url)
    assert follower.text == "hello there"


async def test_a_thousand_streams_of_one_reader_are_served_by_one_subscription(
    client: Client, http: ClientSession, stub: ModelStub, readers: list[Service], place: Place
) -> None:
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.text(LONG, pause=0.02))
    jobs = [(await client.submit(msg=str(number)))["id"] for number in range(10)]
    followers = [Follower(http, job_id) for job_id in jobs * 100]
    streams = [asyncio.create_task(follower.follow(readers[0].url)) for follower in followers]

    async def all_follow() -> bool:
        return await readers[0].metric(http, "gpt_jobs_streams") == len(followers)

    await eventually(all_follow)
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        channels = await cache.pubsub_numsub(
            *(f"{place.environment['REDIS_PREFIX']}text:{job_id}" for job_id in jobs)
        )
    assert [listeners for _, listeners in channels] == [1] * len(jobs)
    gate.set()
    ends: list[Any] = await asyncio.gather(*streams)
    assert {end["status"] for end in ends} == {"completed"}
    assert [follower.text for follower in followers] == [LONG] * len(followers)
