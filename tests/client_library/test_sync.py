"""The synchronous face: the same, called from a thread without an event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from gpt_jobs import ApiError, Delta, Event
from gpt_jobs.sync import GptJobs
from tests.client_library.unruly import JOB, Unruly, answer, error, hang_up, record, sent, silence

A = 10_000_000
T = TypeVar("T")
DELTAS = [(A + number, "delta", {"text": text}) for number, text in enumerate("abc", 1)]
END = (2 * A - 1, "completed", record("completed", output_text="abc"))


async def without_a_loop(work: Callable[[GptJobs], T], unruly: Unruly) -> T:
    """What `work` returns, in a thread of its own, so that the server can answer in ours."""

    def run() -> T:
        with GptJobs(unruly.url, patience_s=5) as jobs:
            return work(jobs)

    return await asyncio.to_thread(run)


async def test_every_method(unruly: Unruly) -> None:
    done = answer(record("completed", output_text="abc"))
    unruly.will(answer(record(), 202), hang_up, done, answer(record(), 202), done, done, answer(None, 204))

    def work(jobs: GptJobs) -> list[str]:
        job = jobs.submit("hello")
        answered = jobs.result(job, wait_s=20)
        asked = jobs.ask("and then?", parent=answered)
        cancelled = jobs.cancel(asked)
        jobs.delete(cancelled)
        return [job.status, answered.text, asked.text, cancelled.status]

    assert await without_a_loop(work, unruly) == ["queued", "abc", "abc", "completed"]


async def test_a_stream(unruly: Unruly) -> None:
    unruly.will(sent(*DELTAS, then=hang_up), sent(END))

    def work(jobs: GptJobs) -> str:
        return "".join(event.text for event in jobs.stream(JOB) if isinstance(event, Delta))

    assert await without_a_loop(work, unruly) == "abc"


async def test_a_stream_that_is_left(unruly: Unruly) -> None:
    unruly.will(sent(*DELTAS), answer(record()))

    def work(jobs: GptJobs) -> str:
        for _ in jobs.stream(JOB):
            break
        return jobs.result(JOB).status

    assert await without_a_loop(work, unruly) == "queued"


async def test_a_stream_that_is_left_behind(unruly: Unruly) -> None:
    unruly.will(sent(*DELTAS, then=silence))

    events = await without_a_loop(lambda jobs: _begun(jobs.stream(JOB)), unruly)

    with pytest.raises(RuntimeError, match="with GptJobs"):
        next(events)


def _begun(events: Iterator[Event]) -> Iterator[Event]:
    next(events)
    return events


async def test_an_error_arrives_where_it_was_called(unruly: Unruly) -> None:
    unruly.will(error(404, "job_not_found", retryable=False))

    with pytest.raises(ApiError, match="job_not_found"):
        await without_a_loop(lambda jobs: jobs.result(JOB), unruly)


async def test_nothing_is_left_of_it(unruly: Unruly) -> None:
    unruly.will(answer(record()))

    await without_a_loop(lambda jobs: jobs.result(JOB), unruly)

    assert "gpt-jobs" not in {thread.name for thread in threading.enumerate()}


def test_outside_of_its_context_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="with GptJobs"):
        GptJobs("http://127.0.0.1:1").result(JOB)
