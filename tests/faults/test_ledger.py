"""The ledger finds each breach of the promise: otherwise all that it finds kept would mean nothing."""

import json
from collections import Counter
from typing import Any

import pytest

from stack.replies import Call
from tests.faults.ledger import Job, Ledger
from tests.faults.upstream import Upstream


@pytest.fixture
def ledger() -> Ledger:
    """An empty one."""
    return Ledger(Upstream(delay_s=(0, 0)))


def accepted(ledger: Ledger, prompt: str = "fine/1") -> Job:
    """A job that its client was told 202 for."""
    job = ledger.submitting(prompt, "http")
    ledger.answered(job, 202, record("queued", attempt=0, job_id="job_1"), None)
    return job


def record(
    status: str, *, attempt: int = 1, answer: str = "You said: fine/1", job_id: str = "job_1"
) -> dict[str, Any]:
    code = {"failed": {"code": "internal"}, "cancelled": {"code": "cancelled"}}.get(status)
    return {"id": job_id, "status": status, "attempt": attempt, "output_text": answer, "error": code}


def poll(ledger: Ledger, job: Job, *statuses: str, **fields: Any) -> None:
    for status in statuses:
        ledger.polled(job, 200, json.dumps(record(status, **fields)).encode(), None)


async def call(ledger: Ledger, prompt: str, key: str) -> None:
    message = {"role": "user", "content": prompt}
    await ledger.upstream.respond(Call(0, "stub", (message,), key, {}, {}))


def found(ledger: Ledger) -> set[str]:
    return {problem.kind for problem in ledger.verdict().problems}


def test_a_job_that_goes_forward_to_its_own_answer_is_right(ledger: Ledger) -> None:
    poll(ledger, accepted(ledger), "queued", "in_progress", "completed", "completed")

    verdict = ledger.verdict()
    assert verdict.is_kept
    assert (verdict.accepted, verdict.ended) == (1, Counter({"completed": 1}))


def test_a_job_without_an_end_is_lost(ledger: Ledger) -> None:
    poll(ledger, accepted(ledger), "in_progress")
    assert found(ledger) == {"lost"}


def test_a_job_that_nobody_promised_is_not_lost(ledger: Ledger) -> None:
    ledger.answered(ledger.submitting("fine/1", "http"), 503, {}, "5")
    assert ledger.verdict().is_kept


@pytest.mark.parametrize("answer", ["You said: fine/2", "", "fine/1"])
def test_another_jobs_answer_is_wrong(answer: str, ledger: Ledger) -> None:
    poll(ledger, accepted(ledger), "completed", answer=answer)
    assert found(ledger) == {"wrong"}


def test_another_jobs_record_is_wrong(ledger: Ledger) -> None:
    poll(ledger, accepted(ledger), "completed", job_id="job_2")
    assert found(ledger) == {"wrong"}


def test_a_failure_without_a_cause_is_misjudged(ledger: Ledger) -> None:
    poll(ledger, accepted(ledger), "failed")
    assert found(ledger) == {"misjudged"}


def test_a_status_or_an_attempt_that_is_taken_back_is_backwards(ledger: Ledger) -> None:
    first, second = accepted(ledger), accepted(ledger, "fine/2")
    poll(ledger, first, "in_progress", "queued")
    poll(ledger, second, "in_progress", attempt=2)
    poll(ledger, second, "in_progress", attempt=1)

    assert [problem.kind for problem in ledger.problems] == ["backwards", "backwards"]


def test_a_terminal_record_that_changes_in_one_byte_is_backwards(ledger: Ledger) -> None:
    job = accepted(ledger)
    poll(ledger, job, "completed")
    ledger.polled(job, 200, json.dumps(record("completed")).encode() + b" ", None)

    assert found(ledger) == {"backwards"}


@pytest.mark.parametrize("status", [404, 410])
def test_a_living_job_that_is_not_found_is_false_expired(status: int, ledger: Ledger) -> None:
    ledger.polled(accepted(ledger), status, b"", None)
    assert found(ledger) == {"false-expired", "lost"}


def test_a_foreign_id_may_be_unknown_until_it_was_seen_and_not_afterwards(ledger: Ledger) -> None:
    job = ledger.submitting("fine/1", "broker")
    job.id = "pub-1"
    ledger.confirmed(job, by_the_broker=True)
    ledger.polled(job, 404, b"", None)
    assert not ledger.problems

    poll(ledger, job, "in_progress", job_id="pub-1")
    ledger.polled(job, 404, b"", None)
    assert [problem.kind for problem in ledger.problems] == ["false-expired"]


def test_what_the_api_does_not_promise_is_no_answer(ledger: Ledger) -> None:
    job = accepted(ledger)
    ledger.polled(job, 500, b"", None)
    ledger.polled(job, 503, b"", None)
    ledger.no_answer(job, "hanging", asked="poll")
    ledger.no_answer(job, "dropped", asked="poll")
    ledger.answered(ledger.submitting("fine/2", "http"), 429, {}, None)
    assert [problem.kind for problem in ledger.problems] == ["answers"] * 5

    ledger.polled(job, 503, b"", "5")
    ledger.no_answer(job, "refused", asked="poll")
    ledger.drops_allowed = True
    ledger.no_answer(job, "dropped", asked="poll")
    assert len(ledger.problems) == 5


async def test_a_second_call_is_extra_unless_the_first_was_in_dead_hands(ledger: Ledger) -> None:
    job = accepted(ledger)
    await call(ledger, job.prompt, "worker-1")
    await call(ledger, job.prompt, "worker-2")
    poll(ledger, job, "completed")
    assert found(ledger) == {"repeated"}

    ledger.lost_hands("worker-1", at_most=10)
    assert found(ledger) == {"repeated"}, "it had ended before the worker died"

    job.ended_at = None
    assert ledger.verdict().is_kept
    assert (ledger.verdict().extra, ledger.verdict().allowed) == (1, 1)


async def test_a_call_after_a_bad_answer_is_not_extra(ledger: Ledger) -> None:
    job = accepted(ledger, "500/1")
    for _ in range(3):
        await call(ledger, job.prompt, "worker-1")
    poll(ledger, job, "completed", answer="You said: 500/1")

    verdict = ledger.verdict()
    assert (verdict.is_kept, verdict.calls, verdict.extra) == (True, 3, 0)


async def test_a_job_that_runs_although_its_client_was_told_503_is_a_ghost(ledger: Ledger) -> None:
    job = ledger.submitting("fine/1", "http")
    ledger.answered(job, 503, {}, "5")
    await call(ledger, job.prompt, "worker-1")

    assert ledger.verdict().ghosts == 1


def cancel(ledger: Ledger, job: Job, status: str) -> None:
    job.cancel_asked = True
    ledger.cancel_answered(job, 200, json.dumps(record(status)).encode(), None)


async def test_a_cancelled_job_is_right_if_it_was_called_before(ledger: Ledger) -> None:
    job = accepted(ledger)
    await call(ledger, job.prompt, "a")
    cancel(ledger, job, "in_progress")
    cancel(ledger, job, "cancelled")
    assert ledger.verdict().is_kept


async def test_a_call_after_the_cancel_is_found(ledger: Ledger) -> None:
    job = accepted(ledger)
    cancel(ledger, job, "cancelled")
    await call(ledger, job.prompt, "a")
    ledger.upstream.asked[job.prompt][0].at = job.cancelled_at + 2
    assert found(ledger) == {"uncancelled"}


def test_a_cancel_that_nobody_asked_for_is_found(ledger: Ledger) -> None:
    poll(ledger, accepted(ledger), "cancelled")
    assert found(ledger) == {"misjudged"}


def test_another_end_after_the_cancel_is_found(ledger: Ledger) -> None:
    job = accepted(ledger)
    cancel(ledger, job, "cancelled")
    poll(ledger, job, "completed")
    assert found(ledger) == {"backwards"}
