"""The client against the real services."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gpt_jobs import ApiError, GptJobs, JobFailed, sync
from stack import replies
from stack.model_stub import ModelStub
from tests.client import Client
from tests.deployment import Deployment

KEYS = {"API_KEYS": "alice:a-key-of-alice-0123,bob:a-key-of-bob-012345"}


@pytest.fixture
async def jobs(system: Client) -> AsyncIterator[GptJobs]:
    """The client of the shared services."""
    async with GptJobs(str(system.gateway_url), results_url=str(system.reader_url)) as client:
        yield client


async def test_a_question_and_its_answer(jobs: GptJobs) -> None:
    job = await jobs.ask("大吉大利?", options={"max_tokens": 7}, metadata={"room": "12"})

    assert job.text == "You said: 大吉大利?"
    assert job == await jobs.result(job.id)
    assert (job.status, job.attempt, job.metadata) == ("completed", 1, {"room": "12"})
    assert job.usage is not None
    assert job.usage.total_tokens == job.usage.input_tokens + job.usage.output_tokens


async def test_a_job_that_fails(jobs: GptJobs, system_stub: ModelStub) -> None:
    system_stub.respond = replies.status(400)

    with pytest.raises(JobFailed) as raised:
        await jobs.ask(template="fortune", inputs={"gender": "女", "birth": "1990-01-31"})

    system_stub.respond = replies.echo()
    assert raised.value.code == "upstream_rejected"
    assert raised.value.job.status == "failed"


async def test_bad_input_and_other_peoples_jobs(deployment: Deployment) -> None:
    gateway, reader = str(deployment.gateway(**KEYS).url), str(deployment.reader(**KEYS).url)
    async with (
        GptJobs(gateway, results_url=reader, api_key="a-key-of-alice-0123") as alice,
        GptJobs(gateway, results_url=reader, api_key="a-key-of-bob-012345") as bob,
        GptJobs(gateway, results_url=reader) as nobody,
    ):
        job = await alice.submit("mine")

        assert (await alice.result(job)).status == "queued"
        with pytest.raises(ApiError, match="job_not_found"):
            await bob.result(job)
        with pytest.raises(ApiError, match="unauthenticated"):
            await nobody.submit("hello")
        with pytest.raises(ApiError) as raised:
            await alice.submit("hello", options={"temperature": 9})

    assert (raised.value.param, raised.value.http_status) == ("options.temperature", 400)
    assert raised.value.request_id


async def test_a_service_that_is_restarted_is_waited_for(deployment: Deployment) -> None:
    gateway, reader = deployment.gateway(), deployment.reader()
    deployment.worker()
    async with GptJobs(str(gateway.url), results_url=str(reader.url), patience_s=30) as jobs:
        gateway.process.stop()
        submission = asyncio.create_task(jobs.submit("hello"))
        await asyncio.to_thread(gateway.process.start)
        job = await submission
        reader.process.kill()
        result = asyncio.create_task(jobs.result(job, wait_s=None))
        await asyncio.to_thread(reader.process.start)

        assert (await result).text == "You said: hello"


async def test_the_synchronous_face(system: Client) -> None:
    def work() -> str:
        with sync.GptJobs(str(system.gateway_url), results_url=str(system.reader_url)) as jobs:
            return jobs.ask("hello").text

    assert await asyncio.to_thread(work) == "You said: hello"
