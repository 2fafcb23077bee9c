"""Cancels at every moment of a job's life: one end, and no call of the model after it."""

import asyncio
import itertools
import signal
import time
from unittest.mock import ANY

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis
from yarl import URL

from common.ids import JobIds
from stack import replies
from stack.model_stub import ModelStub
from stack.tcp_proxy import TcpProxy
from tests.client import Answer, Application, Client
from tests.deployment import JOB_ID_KEY, Deployment, Place
from tests.stored import document_of
from tests.waiting import eventually

#: Seconds by which this process may be too busy to see in which order things have happened.
GRACE_S = 0.5


def status_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    status: str = answer.body["status"]
    return status


@pytest.fixture
def client(deployment: Deployment, http: ClientSession) -> Client:
    return Client(http, deployment.gateway(), deployment.reader())


async def test_a_waiting_job_ends_at_once_and_never_reaches_the_model(
    client: Client, deployment: Deployment, stub: ModelStub, application: Application
) -> None:
    record = await client.submit(msg="x", metadata={"k": "v"})
    answers = await asyncio.gather(*(client.cancel(record["id"]) for _ in range(10)))
    read = await client.poll(record["id"], wait=20)

    assert {answer.raw for answer in answers} == {read.raw}
    assert read.body["error"]["code"] == read.body["status"] == "cancelled"
    assert (read.body["output_text"], read.body["metadata"], read.body["attempt"]) == (None, {"k": "v"}, 0)
    assert read.body["completed_at"] is not None
    assert read.body["expires_at"] >= record["expires_at"]

    deployment.worker()
    assert (await client.result((await client.submit(msg="the next"))["id"]))["status"] == "completed"
    assert [call.prompt for call in stub.calls] == ["the next"]
    assert (await client.poll(record["id"])).raw == read.raw
    assert await application.depth() == 0
    assert (await document_of(deployment.place, record["id"]))["record"].encode() == read.raw


async def test_of_a_running_job_the_call_is_closed_within_a_second_and_the_slot_is_free(
    client: Client, deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    worker = deployment.worker(PREFETCH="1")
    stub.respond = replies.in_turn(replies.hang(), replies.echo())
    record = await client.submit(msg="x")
    await stub.until(lambda stub: stub.in_flight == 1)
    held = asyncio.create_task(client.poll(record["id"], wait=20))

    began = time.monotonic()
    answer = await client.cancel(record["id"])
    await eventually(lambda: stub.in_flight == 0, 1)
    assert time.monotonic() - began < 1

    assert (status_of(answer), answer.body["attempt"], answer.body["model"]) == ("cancelled", 1, "stub-model")
    assert "Retry-After" not in answer.headers
    assert (await held).raw == answer.raw == (await client.cancel(record["id"])).raw
    assert (await client.result((await client.submit(msg="next"))["id"]))["status"] == "completed"
    assert await worker.metric(http, "gpt_jobs_finished_total", status="cancelled", code="cancelled") == 1
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="cancelled") == 1
    assert len(stub.calls) == 2


async def test_a_job_that_waits_for_another_attempt_ends_at_once(
    client: Client, deployment: Deployment, stub: ModelStub
) -> None:
    deployment.worker(RETRY_DELAY_S="2", RETRY_MAX_DELAY_S="2")
    stub.respond = replies.status(500)
    record = await client.submit(msg="x")
    await stub.until(lambda stub: len(stub.calls) == 1)
    answer = await client.cancel(record["id"])
    assert (status_of(answer), answer.body["attempt"]) == ("cancelled", 1)

    await asyncio.sleep(3)  # the message has come back by now
    assert len(stub.calls) == 1
    assert (await client.poll(record["id"])).raw == answer.raw


async def test_what_had_been_written_stays_readable(client: Client, deployment: Deployment, stub: ModelStub) -> None:
    deployment.worker(RETRY_DELAY_S="30", RETRY_MAX_DELAY_S="30")
    words = " ".join(f"word-{number}" for number in range(500))
    stub.respond = replies.text(words, pause=0.05)
    record = await client.submit(msg="x")
    so_far = await eventually(lambda: _text_of(client, record["id"]))
    answer = await client.cancel(record["id"])
    assert status_of(answer) == "cancelled"
    assert words.startswith(answer.body["output_text"])
    assert answer.body["output_text"].startswith(so_far)
    assert (await client.poll(record["id"])).raw == answer.raw
    assert (await document_of(deployment.place, record["id"]))["record"].encode() == answer.raw
    await eventually(lambda: stub.in_flight == 0, 1)


async def _text_of(client: Client, job_id: str) -> str | None:
    text: str | None = (await client.poll(job_id)).body["output_text"]
    return text


async def test_a_finished_job_stays_as_it_is(client: Client, deployment: Deployment, stub: ModelStub) -> None:
    deployment.worker(MAX_ATTEMPTS="1")
    done = await client.result((await client.submit(msg="x"))["id"])
    stub.respond = replies.status(500)
    failed = await client.result((await client.submit(msg="x"))["id"])
    for record in (done, failed):
        answer = await client.cancel(record["id"])
        assert (answer.status, answer.body) == (200, record)


class Unreliable:
    """An upstream of which every third call fails, so that its job is tried again."""

    def __init__(self) -> None:
        self.broken_off: list[replies.Call] = []
        self._numbers = itertools.count()

    async def respond(self, call: replies.Call) -> replies.Reply:
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            self.broken_off.append(call)
            raise
        fails = next(self._numbers) % 3 == 0
        return await (replies.status(500) if fails else replies.echo())(call)


async def test_at_whatever_moment_there_is_one_end_and_no_call_after_the_word(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    reader = deployment.reader()
    one, another = (Client(http, deployment.gateway(), reader) for _ in range(2))
    for _ in range(2):
        deployment.worker(PREFETCH="4", RETRY_DELAY_S="0.05")
    upstream = Unreliable()
    stub.respond = upstream.respond
    answered_at: dict[str, float] = {}

    async def life(number: int) -> str:
        record = await one.submit(msg=f"job {number}")
        await asyncio.sleep(number % 40 * 0.03)
        answers = await asyncio.gather(one.cancel(record["id"]), another.cancel(record["id"]))
        if all(status_of(answer) == "cancelled" for answer in answers):
            answered_at[f"job {number}"] = time.monotonic()
        end = await one.result(record["id"])
        assert all(answer.body == end or answer.body["status"] in {"queued", "in_progress"} for answer in answers)
        kept = await document_of(deployment.place, end["id"])
        assert kept["record"].encode() == (await one.poll(end["id"])).raw
        return str(end["status"])

    ends = await asyncio.gather(*(life(number) for number in range(120)))
    await eventually(lambda: stub.in_flight == 0)

    assert ends.count("cancelled") > 20
    for call in stub.calls:
        # One that was made and broken off before the word may come to the stub's notice a moment after it.
        grace_s = GRACE_S if call in upstream.broken_off else 0
        assert call.at <= answered_at.get(call.prompt, call.at) + grace_s


async def test_a_worker_that_is_cut_off_ends_the_job_when_it_is_back(
    client: Client, deployment: Deployment, stub: ModelStub
) -> None:
    url = URL(deployment.place.environment["REDIS_URL"])
    stub.respond = replies.hang()
    async with TcpProxy(url.port or 0) as proxy:
        await asyncio.to_thread(deployment.worker, REDIS_URL=str(url.with_port(proxy.port)))
        for silently in (False, True):
            record = await client.submit(msg="x")
            await stub.until(lambda stub: stub.in_flight == 1)
            if silently:
                proxy.stall()
            else:
                proxy.refuse()
            answer = await client.cancel(record["id"])
            assert status_of(answer) == "in_progress"
            assert int(answer.headers["Retry-After"]) > 0
            assert stub.in_flight == 1
            await proxy.heal()
            await eventually(lambda: stub.in_flight == 0)
            assert (await client.result(record["id"]))["status"] == "cancelled"
    assert len(stub.calls) == 2


async def test_so_does_one_that_stood_still(client: Client, deployment: Deployment, stub: ModelStub) -> None:
    worker = deployment.worker()
    stub.respond = replies.hang()
    record = await client.submit(msg="x")
    await stub.until(lambda stub: stub.in_flight == 1)
    worker.process.signal(signal.SIGSTOP)
    answers = await asyncio.gather(*(client.cancel(record["id"]) for _ in range(2)))
    assert {status_of(answer) for answer in answers} == {"in_progress"}
    worker.process.signal(signal.SIGCONT)
    await eventually(lambda: stub.in_flight == 0)
    assert (await client.result(record["id"]))["status"] == "cancelled"
    assert len(stub.calls) == 1


async def test_of_a_worker_that_died_the_next_one_ends_the_job_without_a_call(
    client: Client, deployment: Deployment, stub: ModelStub
) -> None:
    worker = deployment.worker()
    stub.respond = replies.hang()
    record = await client.submit(msg="x")
    await stub.until(lambda stub: stub.in_flight == 1)
    worker.process.kill()
    assert status_of(await client.cancel(record["id"])) == "in_progress"
    deployment.worker()
    ended = await client.result(record["id"])
    assert (ended["status"], ended["attempt"]) == ("cancelled", 1)
    assert len(stub.calls) == 1


@pytest.mark.parametrize("is_polled", [False, True], ids=["at once", "after a poll"])
async def test_of_an_emptied_cache_the_store_knows_which_attempt_was_cancelled(
    client: Client, deployment: Deployment, stub: ModelStub, is_polled: bool
) -> None:
    worker = deployment.worker()
    stub.respond = replies.hang()
    record = await client.submit(msg="x")
    await stub.until(lambda stub: stub.in_flight == 1)
    running = await client.poll(record["id"])
    worker.process.kill()
    await _forget(deployment.place, record["id"])
    if is_polled:
        assert (await client.poll(record["id"])).body == running.body
    assert status_of(await client.cancel(record["id"])) == "in_progress"
    deployment.worker()
    ended = await client.result(record["id"])
    told = ("attempt", "model", "started_at")
    assert ended["status"] == "cancelled"
    assert [ended[field] for field in told] == [running.body[field] for field in told] == [1, "stub-model", ANY]
    assert len(stub.calls) == 1


async def _forget(place: Place, job_id: str) -> None:
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        assert await redis.delete(f"{place.environment['REDIS_PREFIX']}job:{job_id}") == 1


async def test_jobs_of_publishers_on_the_broker_are_cancelled_too_and_they_are_told(
    client: Client, deployment: Deployment, stub: ModelStub, application: Application
) -> None:
    waiting = JobIds([JOB_ID_KEY]).mint()
    await application.declare()
    await application.publish({"id": waiting, "msg": "x"})
    assert status_of(await client.cancel(waiting)) == "queued"
    assert (await client.cancel("a-job-of-theirs")).status == 404

    deployment.worker()
    assert (await client.result(waiting))["status"] == "cancelled"
    stub.respond = replies.hang()
    replying = asyncio.create_task(application.answers_to({"id": "a-job-of-theirs", "msg": "x"}))
    await stub.until(lambda stub: stub.in_flight == 1)
    assert status_of(await client.cancel("a-job-of-theirs")) == "cancelled"
    (reply,) = await replying
    assert reply.body == (await client.poll("a-job-of-theirs")).raw
    assert len(stub.calls) == 1


async def test_an_id_that_is_none_cannot_be_cancelled(system: Client) -> None:
    for job_id, status, code in (
        ("job_" + "A" * 32, 404, "job_not_found"),
        (JobIds([JOB_ID_KEY]).mint("someone"), 404, "job_not_found"),
        ("unknown", 404, "job_not_found"),
        (JobIds([JOB_ID_KEY]).mint(now=1_700_000_000), 410, "job_expired"),
    ):
        answer = await system.cancel(job_id)
        assert (answer.status, answer.body["error"]["code"]) == (status, code)


async def test_without_the_cache_nobody_is_told_that_it_is_cancelled(
    deployment: Deployment, place: Place, http: ClientSession
) -> None:
    url = URL(place.environment["REDIS_URL"])
    async with TcpProxy(url.port or 0) as proxy:
        gateway = await asyncio.to_thread(deployment.gateway, REDIS_URL=str(url.with_port(proxy.port)))
        client = Client(http, gateway, gateway)
        record = await client.submit(msg="x")
        proxy.refuse()
        answer = await client.cancel(record["id"])
        assert (answer.status, answer.body["error"]["code"]) == (503, "cache_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        await proxy.heal()
        await eventually(lambda: _is_cancelled(client, record["id"]))


async def _is_cancelled(client: Client, job_id: str) -> bool:
    answer = await client.cancel(job_id)
    return answer.status == 200 and answer.body["status"] == "cancelled"
