"""What `make ask` shows, against a server that does what it is told."""

import signal

from stack.ports import free_port
from tests.client_library.asking import in_a_pipe, on_a_terminal
from tests.client_library.test_streams import FIRST, QUEUED, SECOND, A, delta, end
from tests.client_library.unruly import JOB, Unruly, answer, error, record, sent, silence

PROMPT = 'Why "is" $(the) sky\nblue? 蓝'


async def test_the_text_comes_as_it_is_written(unruly: Unruly) -> None:
    unruly.will(
        answer(record(), 202),
        sent(QUEUED, FIRST, delta(A + 3, "It "), delta(A + 8, "\x1b[31mis 蓝"), then=silence),
    )

    async with on_a_terminal(PROMPT, unruly.url) as asking:
        await asking.until_shown("It [31mis 蓝")
        assert asking.process.returncode is None

    assert unruly.asked[0].body == {"msg": PROMPT}


async def test_it_says_where_the_job_waits(unruly: Unruly) -> None:
    unruly.will(
        answer(record(), 202),
        sent(QUEUED, then=silence),
        answer(record(queue={"position": 1, "estimated_start_s": 7.4})),
    )

    async with on_a_terminal(PROMPT, unruly.url) as asking:
        await asking.until_shown("waiting, number 2 in line … ")
        await asking.until_shown("waiting, number 1 in line, begins in about 7 s … ")


async def test_an_attempt_that_breaks_off_is_told(unruly: Unruly) -> None:
    done = end(2, output_text="new")
    unruly.will(answer(record(), 202), sent(FIRST, delta(A + 3, "old"), SECOND, delta(2 * A + 3, "new"), done))

    async with on_a_terminal(PROMPT, unruly.url) as asking:
        status = await asking.process.wait()

    assert status == 0
    assert asking.text().endswith("old\n[That attempt broke off. Attempt 2 begins anew.]\n\r\x1b[Knew\n")


async def test_in_a_pipe_there_is_the_answer_and_nothing_else(unruly: Unruly) -> None:
    done = end(2, output_text="new\x1b蓝")
    unruly.will(answer(record(), 202), sent(FIRST, delta(A + 3, "old"), SECOND, delta(2 * A + 3, "new"), done))

    assert await in_a_pipe(PROMPT, unruly.url, API_KEY="a-key") == (0, "new\x1b蓝\n", "")
    assert {asked.headers["Authorization"] for asked in unruly.asked} == {"Bearer a-key"}


async def test_interrupted_it_cancels_the_job(unruly: Unruly) -> None:
    unruly.will(answer(record(), 202), sent(FIRST, delta(A + 3, "It "), then=silence), answer(record("cancelled")))

    async with on_a_terminal(PROMPT, unruly.url) as asking:
        await asking.until_shown("It ")
        asking.process.send_signal(signal.SIGINT)
        status = await asking.process.wait()

    assert status == 130
    assert "It is cancelled." in asking.text()
    assert unruly.asked[-1].path == f"/v1/jobs/{JOB}/cancel"


async def test_why_there_is_no_answer(unruly: Unruly) -> None:
    problem = {"code": "upstream_rejected", "message": "No.", "type": "upstream_error", "retryable": False}
    unruly.will(
        answer(record(), 202), sent(end(1, "failed", error=problem)), error(400, "invalid_request", retryable=False)
    )

    failed = await in_a_pipe(PROMPT, unruly.url)
    refused = await in_a_pipe(PROMPT, unruly.url)
    status, out, err = await in_a_pipe("", unruly.url)

    assert failed == (1, "", "upstream_rejected: No.\n")
    assert refused == (1, "", "invalid_request: It is invalid_request.\n")
    assert (status, out) == (2, "")
    assert 'make ask MSG="…"' in err


async def test_where_nothing_runs_it_says_so(unruly: Unruly) -> None:
    for settings in ({"GATEWAY_URL": f"http://127.0.0.1:{free_port()}"}, {"GATEWAY_URL": "nonsense"}):
        status, out, err = await in_a_pipe(PROMPT, unruly.url, **settings)

        assert (status, out) == (1, "")
        assert err.count("\n") == 1
