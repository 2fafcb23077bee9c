"""Who waits is told where it stands and about when it begins; the truth is when its call comes to the upstream."""

import asyncio
import random
import time
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from stack.replies import Call, Reply
from tests.client import Client, ask
from tests.deployment import Deployment
from tests.waiting import eventually

#: Below this many seconds a factor says nothing: the line is sampled once a second.
SHORT_S = 3.0
QUEUED = {"status": "queued", "attempt": 0}


@dataclass(frozen=True)
class Told:
    """What one waiting job was told, and when."""

    at: float
    msg: str
    position: int
    starts_in_s: float | None


async def half_a_second_to_one(call: Call) -> Reply:
    reply = await replies.echo()(call)
    return replace(reply, delay=random.uniform(0.5, 1))


async def ask_all(client: Client, http: ClientSession, by_id: dict[str, str]) -> list[Told]:
    """What all jobs are told that wait now."""
    ids, told = list(by_id), []
    for first in range(0, len(ids), 50):
        url = client.reader_url.with_path("/v1/results") % {"ids": ",".join(ids[first : first + 50])}
        answer = await ask(http, "GET", url)
        for record in answer.body["data"]:
            assert (record["status"] == "queued") or "queue" not in record
            if "queue" in record:
                place = record["queue"]
                at = time.monotonic()
                told.append(Told(at, by_id[record["id"]], place["position"], place["estimated_start_s"]))
    return told


async def test_the_estimates_of_five_hundred_jobs_are_right_within_a_factor_of_two(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    stub.respond = half_a_second_to_one
    client = Client(http, deployment.gateway(CACHE_TIMEOUT_S="5", BROKER_TIMEOUT_S="20"), deployment.reader())
    for _ in range(2):
        deployment.worker(PREFETCH="8", CACHE_TIMEOUT_S="5")
    records = await asyncio.gather(*(client.submit(msg=f"job {n}") for n in range(500)))
    by_id = {record["id"]: f"job {n}" for n, record in enumerate(records)}

    told: list[Told] = []

    async def rate_is_known() -> bool:
        return any(each.starts_in_s for each in await ask_all(client, http, by_id))

    await eventually(rate_is_known, 20)
    # The first attempts of a worker take longer, until everything is made that is made once.
    for moment in range(100, 450, 50):
        await stub.until(lambda stub, moment=moment: len(stub.calls) >= moment, 60)  # type: ignore[misc]
        told += await ask_all(client, http, by_id)
    await stub.until(lambda stub: len(stub.calls) == 500, 60)

    began = {call.messages[-1]["content"]: call.at for call in stub.calls}
    compared = [(each, began[each.msg] - each.at) for each in told]
    long = [(each, truth_s) for each, truth_s in compared if max(truth_s, each.starts_in_s or 0) > SHORT_S]
    wrong = [(each, truth_s) for each, truth_s in long if not is_honest(each, truth_s)]
    assert len(long) > 500
    assert not wrong, f"{len(wrong)} of {len(long)}, such as {wrong[:3]}"


def is_honest(told: Told, truth_s: float) -> bool:
    return told.starts_in_s is not None and truth_s / 2 <= told.starts_in_s <= 2 * truth_s


async def test_who_is_accepted_is_told_its_place_at_once_and_it_only_falls(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    records = [await client.submit(msg=f"job {n}") for n in range(5)]
    assert [record["queue"]["position"] for record in records] == [1, 2, 3, 4, 5]
    last = records[-1]["id"]
    assert await position(client, last) == 5

    stub.respond = replies.hang()
    deployment.worker(PREFETCH="2")

    async def is_third() -> bool:
        return await position(client, last) == 3

    await eventually(is_third)
    events = await ask(http, "GET", client.reader_url.with_path(f"/v1/results/{last}/events"))
    place = {"position": 3, "estimated_start_s": None}
    assert events.body["data"] == [{"id": 1, "event": "status", "data": {**QUEUED, "queue": place}}]
    first = (await client.poll(records[0]["id"])).body
    assert (first["status"], "queue" in first) == ("in_progress", False)


async def test_on_an_idle_fleet_a_job_begins_at_once(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="10")

    async def begins_at_once() -> dict[str, Any] | None:
        answer = await client.post("/v1/jobs", {"msg": "hello"})
        await client.result(answer.body["id"])
        found = answer.body.get("queue") == {"position": 1, "estimated_start_s": 0.0}
        return {"after": answer.headers["Retry-After"]} if found else None

    assert await eventually(begins_at_once) == {"after": "1"}
    assert stub.calls


async def test_the_tag_changes_with_the_place(deployment: Deployment, stub: ModelStub, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    stub.respond = replies.hang()
    records = [await client.submit(msg=f"job {n}") for n in range(3)]
    last = records[-1]["id"]
    await eventually(lambda: stands_at(client, last, 3))
    before = await client.poll(last)
    assert (await client.poll(last, etag=before.headers["ETag"])).status == 304
    deployment.worker(PREFETCH="1")
    await eventually(lambda: stands_at(client, last, 2))
    assert (await client.poll(last, etag=before.headers["ETag"])).status == 200


async def test_what_would_begin_after_its_deadline_is_refused_and_leaves_no_trace(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    stub.respond = replies.echo(delay=1)
    gateway = deployment.gateway()
    client = Client(http, gateway, deployment.reader())
    deployment.worker(PREFETCH="1")
    await asyncio.gather(*(client.submit(msg=f"job {n}") for n in range(60)))

    async def is_refused() -> bool:
        return (await client.post("/v1/jobs", {"msg": "late", "deadline_s": 3})).status == 429

    await eventually(is_refused, 20)
    refusal = await client.post("/v1/jobs", {"msg": "late", "deadline_s": 3}, "a-key")
    assert refusal.status == 429
    error = refusal.body["error"]
    assert (error["code"], error["retryable"]) == ("queue_full", True)
    accepted = await client.post("/v1/jobs", {"msg": "patient", "deadline_s": 600}, "a-key")
    assert accepted.status == 202
    starts_in_s = accepted.body["queue"]["estimated_start_s"]
    assert abs(int(refusal.headers["Retry-After"]) - (starts_in_s - 3)) < starts_in_s / 2
    assert int(accepted.headers["Retry-After"]) == min(30, -(-starts_in_s // 2))
    assert await gateway.metric(http, "gpt_jobs_refused_total", code="queue_full") >= 1
    assert await gateway.metric(http, "gpt_jobs_estimated_wait_seconds") > 3


async def test_while_no_rate_is_known_nothing_is_refused(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    stub.respond = replies.hang()
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="1")
    records = [await client.submit(msg=f"job {n}", deadline_s=30) for n in range(5)]
    await eventually(lambda: stands_at(client, records[-1]["id"], 4))
    record = (await client.poll(records[-1]["id"])).body
    assert record["queue"] == {"position": 4, "estimated_start_s": None}


async def stands_at(client: Client, job_id: str, expected: int) -> bool:
    return await position(client, job_id) == expected


async def position(client: Client, job_id: str) -> int | None:
    """Where the job stands, as a poll is told; None if it is not told."""
    queue = (await client.poll(job_id)).body.get("queue")
    return None if queue is None else int(queue["position"])
