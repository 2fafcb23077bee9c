"""A dead letter that is replayed: the same job, another life, and the truth to every poll."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio
from aiohttp import ClientSession

from common.ids import JobIds
from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client, ask
from tests.deployment import JOB_ID_KEY, Deployment, Place
from tests.operators import INVALID, Operator, died, failed_jobs
from tests.waiting import eventually


@asynccontextmanager
async def polled(client: Client, job_id: str) -> AsyncIterator[list[str]]:
    """Polls the job all the while; the statuses that were read, in which no error ever stands."""
    statuses: list[str] = []

    async def poll_for_ever() -> None:
        while True:
            answer = await client.poll(job_id)
            assert answer.status == 200, answer.body
            statuses.append(answer.body["status"])

    polling = asyncio.create_task(poll_for_ever())
    yield statuses
    if not polling.done():
        polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling


async def test_a_job_that_was_given_up_is_replayed_under_its_id(
    impatient: Client, application: Application, operator: Operator, stub: ModelStub
) -> None:
    (job_id,) = await failed_jobs(impatient, application, stub, 1)
    failed = await impatient.result(job_id)
    (listed,) = await operator.listed()
    assert (listed["id"], listed["code"], listed["attempts"]) == (job_id, "upstream_unavailable", 1)

    async with polled(impatient, job_id) as statuses:
        printed = await operator.dead("replay", job_id)
        await eventually(lambda: statuses[-1] == "completed")

    assert (printed.status, printed.err) == (0, "")
    record = await impatient.result(job_id)
    assert (record["id"], record["output_text"], record["attempt"]) == (job_id, "You said: number 0", 1)
    assert record["created_at"] == failed["created_at"]
    assert record["deadline_at"] >= failed["deadline_at"]
    assert await operator.listed() == []


async def test_the_store_and_the_cache_keep_the_new_answer(
    deployment: Deployment, application: Application, operator: Operator, stub: ModelStub, http: ClientSession
) -> None:
    deployment.worker(MAX_ATTEMPTS="1", RESULT_CACHE_TTL_S="0.001")
    client = Client(http, deployment.gateway(), deployment.reader(RESULT_CACHE_TTL_S="0.001"))
    (job_id,) = await failed_jobs(client, application, stub, 1)
    assert (await client.result(job_id))["status"] == "failed"

    async with polled(client, job_id) as statuses:
        assert (await operator.dead("replay", "--all")).status == 0
        await eventually(lambda: statuses[-1] == "completed")

    assert "failed" not in statuses[statuses.index("completed") :]


async def test_a_replayed_message_is_the_one_that_was_published(
    impatient: Client, application: Application, operator: Operator, stub: ModelStub
) -> None:
    stub.respond = replies.status(500)
    body = {"id": "mine", "msg": "hello", "metadata": {"a": "b"}, "payload": [1]}
    (first,) = await application.answers_to(body, correlation_id="c-1", headers={"x-deadline": 4_000_000_000})
    assert json.loads(first.body)["status"] == "failed"
    await died(application, 1)

    assert (await operator.dead("replay", "mine")).status == 0
    await died(application, 1)

    (listed,) = await operator.listed()
    shown = (await operator.dead("show", "mine")).out
    assert (listed["id"], listed["attempts"]) == ("mine", 1)
    assert "correlation_id: c-1" in shown
    assert "x-replayed-at: " in shown
    assert "x-deadline" not in shown
    assert shown.count("x-reason: ") == 1
    stub.respond = replies.echo()
    assert (await operator.dead("replay", "mine")).status == 0
    record = await impatient.result("mine")
    assert (record["metadata"], record["payload"]) == ({"a": "b"}, [1])


async def test_a_job_older_than_any_deadline_is_replayed_even_if_the_cache_has_lost_it(
    deployment: Deployment, application: Application, operator: Operator, stub: ModelStub, place: Place
) -> None:
    old = JobIds([JOB_ID_KEY]).mint(now=time.time() - 86_400)
    stub.respond = replies.status(500)
    patient = deployment.worker(MAX_ATTEMPTS="1", JOB_DEADLINE_S="100000")
    await application.publish({"id": old, "msg": "hello"})
    await died(application, 1)
    patient.process.stop()

    assert (await operator.dead("replay", old)).status == 0
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        assert await cache.delete(f"{place.environment['REDIS_PREFIX']}job:{old}") == 1
    stub.respond = replies.echo()
    reader = deployment.reader()
    deployment.worker()

    async def answered() -> bool:
        url = reader.url.with_path(f"/v1/results/{old}")
        async with ClientSession() as http:
            answer = await ask(http, "GET", url)
        return answer.status == 200 and answer.body["status"] == "completed"

    await eventually(answered)


async def test_those_with_a_code_are_replayed_and_the_others_stay(
    impatient: Client, application: Application, operator: Operator, stub: ModelStub
) -> None:
    jobs = await failed_jobs(impatient, application, stub, 3)
    await application.publish(INVALID)
    await died(application, 4)

    printed = await operator.dead("replay", "--code", "upstream_unavailable")

    assert "3 replayed" in printed.out
    assert [(await impatient.result(job_id))["status"] for job_id in jobs] == ["completed"] * 3
    assert [message["id"] for message in await operator.listed()] == ["bad"]


async def test_a_replay_that_fails_again_lies_there_again_and_is_not_replayed_for_ever(
    impatient: Client, application: Application, operator: Operator
) -> None:
    await application.publish(INVALID)
    await application.publish(b"nonsense", message_id="no id")
    await died(application, 2)

    assert "2 replayed" in (await operator.dead("replay", "--all")).out

    await died(application, 2)
    assert (await impatient.result("bad"))["error"]["code"] == "invalid_message"


async def test_a_job_that_has_its_answer_is_not_replayed(
    impatient: Client, application: Application, operator: Operator, stub: ModelStub
) -> None:
    (reply,) = await application.answers_to({"id": "done", "msg": "hello"})
    await application.publish({**INVALID, "id": "done"})
    await died(application, 1)

    printed = await operator.dead("replay", "done")

    assert "0 replayed" in printed.out
    assert "has its answer" in printed.out
    assert (await impatient.poll("done")).raw == reply.body
    assert len(stub.calls) == 1
    assert (await operator.dead("purge", "done")).status == 0
    assert await operator.listed() == []
