"""Streams that break, stall, repeat themselves or do not get through, against a server that misbehaves."""

from typing import Any

import pytest
from aiohttp import web

from gpt_jobs import ApiError, Delta, Ended, GptJobs, Started, Unreachable, Waiting, following
from tests.client_library.unruly import (
    JOB,
    Unruly,
    answer,
    error,
    hang_up,
    page,
    paged,
    record,
    sent,
    silence,
)

A = 10_000_000
QUEUED = (1, "status", {"status": "queued", "queue": {"position": 2, "estimated_start_s": None}})
FIRST = (A, "status", {"status": "in_progress", "attempt": 1})
SECOND = (2 * A, "status", {"status": "in_progress", "attempt": 2})


def delta(number: int, text: str) -> tuple[int, str, Any]:
    return number, "delta", {"text": text}


def end(attempt: int = 1, status: str = "completed", **fields: Any) -> tuple[int, str, Any]:
    return (attempt + 1) * A - 1, status, record(status, **fields)


async def seen(jobs: GptJobs, after: int = 0) -> list[object]:
    """Everything, each event as what matters of it."""
    found: list[object] = []
    async for event in jobs.stream(JOB, after=after):
        match event:
            case Waiting(queue=place):
                found.append(place and place.position)
            case Started(attempt=attempt):
                found.append(f"attempt {attempt}")
            case Delta(text=text):
                found.append(text)
            case Ended(job=job):
                found.append(job.status)
    return found


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
async def test_events_come_whole_in_whatever_pieces(jobs: GptJobs, unruly: Unruly, piece: int) -> None:
    new: tuple[int, str, Any] = (A + 3, "something_new", {})
    unruly.will(sent(QUEUED, FIRST, delta(A + 2, "大吉"), new, delta(A + 4, "\n利"), end(), piece=piece))

    assert await seen(jobs) == [2, "attempt 1", "大吉", "\n利", "completed"]
    assert unruly.asked[0].path == f"/v1/results/{JOB}/stream"
    assert unruly.asked[0].headers["Accept"] == "text/event-stream"
    assert unruly.asked[0].headers["Authorization"] == "Bearer a-key"
    assert "Last-Event-ID" not in unruly.asked[0].headers


async def test_it_goes_on_where_it_was_cut(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(
        sent(FIRST, delta(A + 2, "ab"), then=hang_up),
        hang_up,
        error(503, "cache_unavailable", retryable=True, Retry_After="0"),
        sent(delta(A + 2, "ab"), delta(A + 3, "c")),  # it repeats itself, and ends too early
        sent(end()),
    )

    assert await seen(jobs) == ["attempt 1", "ab", "c", "completed"]
    last = [asked.headers.get("Last-Event-ID") for asked in unruly.asked]
    assert last == [None, *[str(A + 2)] * 3, str(A + 3)]


async def test_a_second_attempt_is_told(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(sent(FIRST, delta(A + 2, "ab"), SECOND, delta(2 * A + 1, "x"), end(2)))

    assert await seen(jobs) == ["attempt 1", "ab", "attempt 2", "x", "completed"]


@pytest.mark.parametrize("param", ["Last-Event-ID", "after"])
async def test_a_service_that_has_lost_the_text_tells_it_anew(jobs: GptJobs, unruly: Unruly, param: str) -> None:
    unruly.will(
        sent(FIRST, delta(A + 2, "ab"), then=hang_up),
        error(400, "invalid_request", retryable=False, param=param),
        sent(FIRST, delta(A + 1, "x"), end()),
    )

    assert await seen(jobs) == ["attempt 1", "ab", "attempt 1", "x", "completed"]


async def test_a_number_that_was_never_sent_is_the_callers_fault(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(error(400, "invalid_request", retryable=False, param="Last-Event-ID"))

    with pytest.raises(ApiError, match="invalid_request"):
        await seen(jobs, after=7)


async def test_the_place_of_a_waiting_job_may_be_told_again(jobs: GptJobs, unruly: Unruly) -> None:
    nearer = (1, "status", {"status": "queued", "queue": {"position": 1, "estimated_start_s": 0.5}})
    unruly.will(sent(QUEUED, nearer, (1, "status", {"status": "queued"}), end()))

    assert await seen(jobs) == [2, 1, None, "completed"]


@pytest.mark.parametrize(
    "refusal",
    [
        error(404, "not_found", retryable=False),
        error(405, "method_not_allowed", retryable=False),
        page(403, "no streams here"),
        page(200, "what is this"),
    ],
    ids=["no path", "no method", "proxy", "other content"],
)
async def test_where_streams_are_refused_it_asks_for_the_same_as_json(
    jobs: GptJobs, unruly: Unruly, refusal: Any
) -> None:
    unruly.will(
        refusal,
        paged(FIRST, delta(A + 2, "ab"), after=A + 2),
        paged(after=A + 2),
        hang_up,
        paged((A + 3, "something_new", {}), end(), after=2 * A - 1),
    )

    assert await seen(jobs, after=5) == ["attempt 1", "ab", "completed"]
    assert unruly.asked[0].headers["Last-Event-ID"] == "5"
    asked = [(asked.path.rpartition("/")[2], asked.query) for asked in unruly.asked[1:]]
    assert asked == [("events", {"after": str(after), "wait": "20"}) for after in (5, A + 2, A + 2, A + 2)]


async def test_a_proxy_that_holds_the_stream_back_is_gone_around(
    jobs: GptJobs, unruly: Unruly, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held_back(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        return await silence(request)

    monkeypatch.setattr(following, "SILENCE_S", 0.2)
    unruly.will(held_back, paged(end(), after=2 * A - 1))

    assert await seen(jobs) == ["completed"]


async def test_a_job_that_is_not_there(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(error(404, "job_not_found", retryable=False))

    with pytest.raises(ApiError, match="job_not_found"):
        await seen(jobs)


async def test_a_service_that_stays_away(unruly: Unruly) -> None:
    unruly.will(sent(FIRST, then=hang_up), *[error(503, "store_unavailable", retryable=True, Retry_After="1")])

    async with GptJobs(unruly.url, patience_s=0.5) as jobs:
        with pytest.raises(ApiError, match="store_unavailable"):
            await seen(jobs)


@pytest.mark.parametrize("event", [(A, "delta", {}), (A, "completed", {"id": JOB}), (A, "delta", None)])
async def test_events_that_are_none(unruly: Unruly, event: Any) -> None:
    unruly.will(sent(event))

    async with GptJobs(unruly.url, patience_s=0) as jobs:
        with pytest.raises(Unreachable, match="none"):
            await seen(jobs)


async def test_pages_that_are_none(jobs: GptJobs, unruly: Unruly) -> None:
    unruly.will(page(200), answer({"events": []}))

    with pytest.raises(Unreachable, match="none"):
        await seen(jobs)
