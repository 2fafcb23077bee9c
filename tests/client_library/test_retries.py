"""What the client tries again, and what it does not, against a server that misbehaves."""

import time

import pytest

from gpt_jobs import ApiError, GptJobs, JobFailed, Unreachable
from stack.ports import free_port
from tests.client_library.unruly import JOB, Behaviour, Unruly, answer, error, hang_up, page, record, silence

FULL = error(429, "queue_full", retryable=True, Retry_After="1")


async def test_a_submission_is_made_again_under_the_same_key(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(hang_up, error(503, "broker_unavailable", retryable=True), page(502), answer(record(), 202))

    job = await jobs.submit("hello", options={"stop": ["."]}, parent="job_1", metadata={"room": "12"}, deadline_s=9)

    assert job.id == JOB
    assert [asked.path for asked in unruly.asked] == ["/v1/jobs"] * 4
    assert len({asked.headers["Idempotency-Key"] for asked in unruly.asked}) == 1
    assert unruly.asked[0].headers["Authorization"] == "Bearer a-key"
    assert unruly.asked[3].body == {
        "msg": "hello",
        "options": {"stop": ["."], "parent_id": "job_1"},
        "metadata": {"room": "12"},
        "deadline_s": 9,
    }


async def test_each_submission_has_a_key_of_its_own(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(*[answer(record(), 202)] * 3)

    await jobs.submit(template="fortune", inputs={"birth": "1990-01-31"})
    await jobs.submit(messages=[{"role": "user", "content": "hello"}])
    await jobs.submit("hello", idempotency_key="mine")

    keys = [asked.headers["Idempotency-Key"] for asked in unruly.asked]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_it_waits_for_as_long_as_it_is_told_to(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(FULL, answer(record(), 202))
    began = time.monotonic()

    await jobs.submit("hello")

    assert 1 <= time.monotonic() - began < 3


async def test_it_does_not_wait_for_what_is_beyond_its_patience(unruly: Unruly) -> None:
    unruly.will(error(429, "queue_full", retryable=True, Retry_After="3600"))
    async with GptJobs(unruly.url) as jobs:
        with pytest.raises(ApiError) as raised:
            await jobs.submit("hello")

    problem = raised.value
    assert (problem.code, problem.http_status, problem.retry_after_s) == ("queue_full", 429, 3600)
    assert problem.retryable


async def test_what_cannot_succeed_is_not_tried_again(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(error(400, "invalid_request", retryable=False, param="options.temperature"))

    with pytest.raises(ApiError) as raised:
        await jobs.submit("hello", options={"temperature": 9})

    problem = raised.value
    assert (problem.code, problem.param, problem.request_id) == ("invalid_request", "options.temperature", "req_1")
    assert problem.message == "It is invalid_request."
    assert str(problem) == "invalid_request: It is invalid_request. (in options.temperature)"


async def test_it_gives_up_on_a_service_that_stays_away() -> None:
    async with GptJobs(f"http://127.0.0.1:{free_port()}", patience_s=0.5) as jobs:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:"):
            await jobs.result(JOB)

    assert time.monotonic() - began < 3


async def test_it_gives_up_on_a_service_that_says_nothing(unruly: Unruly) -> None:
    unruly.will(silence)
    async with GptJobs(unruly.url, timeout_s=0.2, patience_s=0) as jobs:
        with pytest.raises(Unreachable, match="in time"):
            await jobs.cancel(JOB)


@pytest.mark.parametrize("behaviour", [page(200), page(301), page(404), answer([1]), answer({"id": JOB})])
async def test_something_else_at_the_address_is_told_as_such(
    jobs: GptJobs, unruly: Unruly, behaviour: Behaviour
) -> None:
    unruly.will(behaviour)

    with pytest.raises(Unreachable) as raised:
        await jobs.result(JOB)

    assert not raised.value.retryable


async def test_a_held_request_that_comes_back_early_is_made_again(jobs: GptJobs, unruly: Unruly) -> None:
    done = record("completed", output_text="blue", usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})
    unruly.will(answer(record()), hang_up, answer(record("in_progress", output_text="bl")), answer(done))

    job = await jobs.result(JOB, wait_s=None)

    assert (job.text, job.is_terminal) == ("blue", True)
    assert job.usage is not None
    assert job.usage.total_tokens == 3
    assert [asked.query["wait"] for asked in unruly.asked] == ["20"] * 4


async def test_a_result_at_once_says_where_it_waits(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(answer(record(queue={"position": 3, "estimated_start_s": 4.5}, new_field="of a newer service")))

    job = await jobs.result(JOB)

    assert job.queue is not None
    assert (job.queue.position, job.queue.estimated_start_s) == (3, 4.5)
    assert unruly.asked[0].query["wait"] == "0"


async def test_ask_raises_what_the_job_failed_with(jobs: GptJobs, unruly: Unruly) -> None:
    problem = {"code": "content_rejected", "message": "No.", "type": "upstream_error", "retryable": False}
    unruly.will(answer(record(), 202), answer(record("failed", error=problem, output_text="as far as")))

    with pytest.raises(JobFailed, match="content_rejected: No\\.") as raised:
        await jobs.ask("hello")

    assert raised.value.job.text == "as far as"


async def test_deleting_and_cancelling(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(answer(record("cancelled")), answer(None, 204))

    assert (await jobs.cancel(JOB)).status == "cancelled"
    await jobs.delete(JOB)

    assert [(asked.method, asked.path) for asked in unruly.asked] == [
        ("POST", f"/v1/jobs/{JOB}/cancel"),
        ("DELETE", f"/v1/jobs/{JOB}"),
    ]


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "ä", "x" * 129])
async def test_what_can_be_no_id_is_not_sent(jobs: GptJobs, job_id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        await jobs.result(job_id)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://"])
def test_what_can_be_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        GptJobs(url)


async def test_outside_of_its_context_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await GptJobs("http://127.0.0.1:1").submit("hello")
