"""The client against the real services: jobs that are cancelled, continued, deleted, submitted twice."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from gpt_jobs import ApiError, Delta, Ended, GptJobs, JobFailed
from stack import replies
from stack.model_stub import ModelStub
from tests.client import Client
from tests.client_library.asking import on_a_terminal
from tests.waiting import eventually

STORY = "Once upon a time, far away, there was a queue 大吉大利. " * 12


@pytest.fixture
async def jobs(system: Client) -> AsyncIterator[GptJobs]:
    """The client of the shared services."""
    async with GptJobs(str(system.gateway_url), results_url=str(system.reader_url)) as client:
        yield client


@pytest.fixture
def slow(system_stub: ModelStub) -> Iterator[ModelStub]:
    """The upstream of the shared services, which writes for a minute."""
    system_stub.respond = replies.text(STORY, pause=1)
    yield system_stub
    system_stub.respond = replies.echo()


async def test_a_cancelled_job_keeps_what_was_written(jobs: GptJobs, slow: ModelStub) -> None:
    job, text = await jobs.submit("tell me"), ""
    ended = job

    async for event in jobs.stream(job):
        if isinstance(event, Delta) and not text:
            await jobs.cancel(job)
        text += event.text if isinstance(event, Delta) else ""
        if isinstance(event, Ended):
            ended = event.job

    assert ended.status == "cancelled"
    assert ended.text == text
    assert STORY.startswith(text)
    assert (await jobs.cancel(job)) == ended
    await eventually(lambda: slow.in_flight == 0)


async def test_who_asks_is_told_of_a_cancel(jobs: GptJobs, slow: ModelStub) -> None:
    job = await jobs.submit("tell me", idempotency_key="one of my own")
    asking = asyncio.create_task(jobs.ask("tell me", idempotency_key="one of my own"))
    await slow.until(lambda stub: stub.in_flight > 0)
    await jobs.cancel(job)
    with pytest.raises(JobFailed) as raised:
        await asking

    assert raised.value.code == "cancelled"
    assert raised.value.job.id == job.id


async def test_the_same_key_is_the_same_job(jobs: GptJobs, system_stub: ModelStub) -> None:
    calls = len(system_stub.calls)

    same = await asyncio.gather(*(jobs.ask("hello", idempotency_key="the same") for _ in range(10)))

    assert len({job.id for job in same}) == 1
    assert len(system_stub.calls) == calls + 1
    with pytest.raises(ApiError) as raised:
        await jobs.submit("something else", idempotency_key="the same")
    assert (raised.value.http_status, raised.value.code) == (409, "idempotency_conflict")


async def test_a_conversation(jobs: GptJobs, system_stub: ModelStub) -> None:
    first = await jobs.ask("Why is the sky blue?")
    second = await jobs.ask("And at night?", parent=first)

    assert second.text == "You said: And at night?"
    assert [message["content"] for message in system_stub.calls[-1].messages] == [
        "Why is the sky blue?",
        "You said: Why is the sky blue?",
        "And at night?",
    ]
    with pytest.raises(ApiError, match="parent_not_found"):
        await jobs.submit("And now?", parent="job_" + "A" * 32)


async def test_a_deleted_job_is_gone(jobs: GptJobs) -> None:
    job = await jobs.ask("My secret")

    await jobs.delete(job)
    await jobs.delete(job.id)

    for gone in (jobs.result(job), anext(jobs.stream(job)), jobs.cancel(job)):
        with pytest.raises(ApiError) as raised:
            await gone
        assert (raised.value.http_status, raised.value.code) == (410, "job_deleted")


async def test_make_ask_cancels_what_is_interrupted(system: Client, slow: ModelStub) -> None:
    where = {"GATEWAY_URL": str(system.gateway_url), "READER_URL": str(system.reader_url)}

    async with on_a_terminal("tell me", **where) as asking:
        await asking.until_shown("Once")
        asking.process.send_signal(signal.SIGINT)
        status = await asking.process.wait()

    assert status == 130
    assert "It is cancelled." in asking.text()
    await eventually(lambda: slow.in_flight == 0)
