"""What is due to a client that has read up to some event, whatever has happened since."""

import json
import time

import pytest

from common.errors import ErrorCode, InvalidRequest, ServiceError
from common.jobs import Record
from result_reader.events import END, PER_ATTEMPT, QUEUED_ID, Event, Seen, check_sent, due

QUEUED = Record.queued("job-1", time.time(), time.time() + 60)
RUNNING = QUEUED.started(1, "a-model")
COMPLETED = RUNNING.completed("Hello, 世界 👋", "a-model", None, 60)
FAILED = RUNNING.failed(ServiceError(ErrorCode.UPSTREAM_TIMEOUT).body(), 60)


def told(after: int, seen: Seen) -> list[tuple[int, str, object]]:
    return [(event.id, event.name, json.loads(event.data)) for event in due(after, seen)]


def text_of(events: list[Event]) -> str:
    return "".join(json.loads(event.data)["text"] for event in events if event.name == "delta")


def test_a_job_that_waits_says_so_once() -> None:
    assert told(0, Seen.of(QUEUED)) == [(QUEUED_ID, "status", {"status": "queued", "attempt": 0})]
    assert not told(QUEUED_ID, Seen.of(QUEUED))


def test_an_attempt_is_told_and_then_its_text_piece_by_piece() -> None:
    running = Seen(RUNNING, 1, "")
    assert told(QUEUED_ID, running) == [(PER_ATTEMPT, "status", {"status": "in_progress", "attempt": 1})]
    assert told(PER_ATTEMPT, Seen(RUNNING, 1, "Hel")) == [(PER_ATTEMPT + 3, "delta", {"text": "Hel"})]
    assert told(PER_ATTEMPT + 3, Seen(RUNNING, 1, "Hello")) == [(PER_ATTEMPT + 5, "delta", {"text": "lo"})]


def test_an_announced_attempt_counts_although_the_record_is_not_read_yet() -> None:
    assert [event.id for event in due(0, Seen(QUEUED, 1, "Hi"))] == [PER_ATTEMPT, PER_ATTEMPT + 2]


def test_the_end_is_told_with_the_record_and_then_nothing() -> None:
    events = list(due(0, Seen.of(COMPLETED)))
    assert [event.name for event in events] == ["status", "delta", "completed"]
    assert events[-1].data == COMPLETED.encode()
    assert not told(events[-1].id, Seen.of(COMPLETED))


def test_a_failed_job_has_no_text() -> None:
    assert [event.name for event in due(PER_ATTEMPT + 7, Seen.of(FAILED))] == ["failed"]


def test_a_job_that_failed_without_an_attempt_ends_all_the_same() -> None:
    failed = QUEUED.failed(ServiceError(ErrorCode.DEADLINE_EXCEEDED).body(), 60)
    assert [(event.id, event.name) for event in due(QUEUED_ID, Seen.of(failed))] == [(END, "failed")]


def test_from_any_place_the_rest_makes_the_text_whole() -> None:
    text = COMPLETED.output_text or ""
    for offset in range(len(text) + 1):
        rest = list(due(PER_ATTEMPT + offset, Seen.of(COMPLETED)))
        assert text[:offset] + text_of(rest) == text


def test_a_new_attempt_begins_its_text_anew() -> None:
    second = Seen(RUNNING.started(2, "a-model"), 2, "Good day")
    assert told(PER_ATTEMPT + 5, second) == [
        (2 * PER_ATTEMPT, "status", {"status": "in_progress", "attempt": 2}),
        (2 * PER_ATTEMPT + 8, "delta", {"text": "Good day"}),
    ]


def test_what_a_cache_has_forgotten_is_not_told_twice() -> None:
    assert not told(PER_ATTEMPT + 5, Seen(RUNNING, 1, "Hel"))


@pytest.mark.parametrize("after", [0, QUEUED_ID, PER_ATTEMPT, PER_ATTEMPT + 3])
def test_what_was_sent_is_known(after: int) -> None:
    check_sent(after, Seen(RUNNING, 1, "Hel"), "after")


@pytest.mark.parametrize("after", [2, END, PER_ATTEMPT + 4, PER_ATTEMPT + END, 2 * PER_ATTEMPT, 10**15])
def test_what_was_never_sent_is_refused(after: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_sent(after, Seen(RUNNING, 1, "Hel"), "after")
    assert caught.value.param == "after"


@pytest.mark.parametrize("after", [PER_ATTEMPT, PER_ATTEMPT + END - 1])
def test_of_an_earlier_attempt_nobody_knows_how_far_it_came(after: int) -> None:
    check_sent(after, Seen(RUNNING.started(3, "a-model"), 3, ""), "after")


def test_an_event_in_a_stream_is_three_lines() -> None:
    assert (
        Event(7, "delta", b'{"text":"a\\nb"}').as_server_sent() == b'id: 7\nevent: delta\ndata: {"text":"a\\nb"}\n\n'
    )
