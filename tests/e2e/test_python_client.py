"""The client against the real services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from gpt_jobs import ApiError, Delta, Ended, GptJobs, JobFailed, Started, Waiting, sync
from stack import replies
from stack.model_stub import ModelStub
from stack.tcp_proxy import TcpProxy
from tests.client import Client
from tests.client_library.asking import in_a_pipe, on_a_terminal
from tests.deployment import Deployment

STORY = "Once upon a time, far away, there was a queue 大吉大利. " * 12
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


async def test_the_text_as_it_is_written(jobs: GptJobs, system_stub: ModelStub) -> None:
    system_stub.respond = replies.text(STORY, pause=0.02)

    events = [event async for event in jobs.stream(await jobs.submit("tell me"))]

    system_stub.respond = replies.echo()
    started, *deltas, ended = [event for event in events if not isinstance(event, Waiting)]
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    assert len(deltas) > 3
    assert "".join(event.text for event in deltas if isinstance(event, Delta)) == ended.job.text == STORY
    assert [event.id for event in events] == sorted({event.id for event in events})


def cut_off(system: Client, proxy: TcpProxy) -> GptJobs:
    """A client whose results come through the proxy."""
    return GptJobs(str(system.gateway_url), results_url=f"http://127.0.0.1:{proxy.port}")


async def test_a_stream_that_is_cut_goes_on_without_a_gap(system: Client, system_stub: ModelStub) -> None:
    system_stub.respond = replies.text(STORY, pause=0.03)
    text = ""
    async with TcpProxy(system.reader_url.port or 0) as proxy, cut_off(system, proxy) as jobs:
        async for event in jobs.stream(await jobs.submit("tell me")):
            if isinstance(event, Delta):
                text += event.text
                proxy.cut()
            if isinstance(event, Ended):
                assert event.job.text == STORY

    system_stub.respond = replies.echo()
    assert text == STORY


async def test_another_process_may_go_on(jobs: GptJobs, system_stub: ModelStub) -> None:
    system_stub.respond = replies.text(STORY, pause=0.02)
    job = await jobs.submit("tell me")
    first = ""
    async with aclosing(jobs.stream(job)) as events:
        async for event in events:
            if isinstance(event, Delta):
                first = event.text
                break

    rest = [event async for event in jobs.stream(job.id, after=event.id)]

    system_stub.respond = replies.echo()
    assert first + "".join(event.text for event in rest if isinstance(event, Delta)) == STORY
    with pytest.raises(ApiError, match="invalid_request") as raised:
        await anext(jobs.stream(job, after=77))
    assert raised.value.http_status == 400


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
    def work() -> tuple[str, str]:
        with sync.GptJobs(str(system.gateway_url), results_url=str(system.reader_url)) as jobs:
            events = jobs.stream(jobs.submit("hello"))
            streamed = "".join(event.text for event in events if isinstance(event, Delta))
            return jobs.ask("hello").text, streamed

    assert await asyncio.to_thread(work) == ("You said: hello",) * 2


async def test_make_ask(system: Client, system_stub: ModelStub) -> None:
    system_stub.respond = replies.text(STORY, pause=0.02)
    where = {"GATEWAY_URL": str(system.gateway_url), "READER_URL": str(system.reader_url)}

    async with on_a_terminal("tell me", **where) as asking:
        await asking.until_shown("Once upon")
        early = asking.text()
        status = await asking.process.wait()
    piped = await in_a_pipe("tell me", **where)

    system_stub.respond = replies.echo()
    assert status == 0
    assert STORY not in early
    assert asking.text().endswith(f"{STORY}\n")
    assert piped == (0, f"{STORY}\n", "")
