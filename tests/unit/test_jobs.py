"""The record: the fields that a client sees, how it moves forward, and that its JSON is the same bytes everywhere."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from common.errors import ErrorCode, ServiceError
from common.jobs import DEADLINE_MARGIN_S, TERMINAL, Record, Status, Usage, queued_json

QUEUED = Record.queued("a-job", 100.9, 200.1, {"order": "17"})
ODD = "emoji 👋🏽 · NUL \x00 · line separators \u2028\u2029 · quotes \"'\\ · </script> · 你好 · e\u0301 · \x7f\ufeff"
FINITE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(FINITE | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10)


def test_a_queued_record_has_every_field_in_order_and_no_other() -> None:
    expected: dict[str, JsonValue] = {
        "id": "a-job",
        "object": "job",
        "status": "queued",
        "created_at": 100,
        "started_at": None,
        "completed_at": None,
        "expires_at": 201 + DEADLINE_MARGIN_S,
        "deadline_at": 201,
        "attempt": 0,
        "model": None,
        "output_text": None,
        "usage": None,
        "error": None,
        "metadata": {"order": "17"},
        "urls": {"result": "/v1/results/a-job"},
    }
    assert json.loads(QUEUED.encode()) == expected
    assert list(json.loads(QUEUED.encode())) == list(expected)


def test_a_payload_is_there_only_if_one_was_given() -> None:
    payload: JsonValue = {"tag": "fortune", "extra": [1, None]}
    with_payload = Record.queued("a-job", 100, 200, payload=payload)
    assert json.loads(with_payload.encode())["payload"] == payload
    assert "payload" not in json.loads(QUEUED.encode())


@pytest.mark.parametrize("payload", [0, False, "", [], {}])
def test_an_empty_payload_is_kept(payload: JsonValue) -> None:
    assert json.loads(Record.queued("a-job", 1, 2, payload=payload).encode())["payload"] == payload


def test_a_started_record_names_the_attempt_and_the_model() -> None:
    started = QUEUED.started(1, "a-model")
    assert (started.status, started.attempt, started.model) == (Status.IN_PROGRESS, 1, "a-model")
    assert started.started_at == pytest.approx(time.time(), abs=2)


def test_the_first_start_stays_the_start() -> None:
    first = QUEUED.started(1, "a-model").model_copy(update={"started_at": 123})
    assert first.started(2, "a-model").started_at == 123


def test_a_completed_record_has_the_answer_and_lives_for_its_time() -> None:
    usage = Usage(input_tokens=1, output_tokens=2, total_tokens=3)
    done = QUEUED.started(2, "asked").completed("an answer", "answered", usage, 600)
    assert (done.status, done.output_text, done.model, done.usage) == ("completed", "an answer", "answered", usage)
    assert (done.attempt, done.error, done.metadata) == (2, None, {"order": "17"})
    assert done.completed_at == pytest.approx(time.time(), abs=2)
    assert done.expires_at == pytest.approx(time.time() + 600, abs=2)


def test_a_failed_record_has_the_error_in_the_shape_of_all_errors() -> None:
    failed = QUEUED.failed(ServiceError(ErrorCode.UPSTREAM_TIMEOUT).body(), 60)
    error = json.loads(failed.encode())["error"]
    assert failed.status is Status.FAILED
    assert list(error) == ["code", "message", "type", "param", "retryable", "request_id"]
    assert failed.completed_at is not None


def test_a_record_does_not_change_when_it_moves_on() -> None:
    before = QUEUED.encode()
    QUEUED.started(1, "m").completed("text", "m", None, 1)
    assert QUEUED.encode() == before
    with pytest.raises(ValidationError):
        setattr(QUEUED, "attempt", 5)  # noqa: B010 (the type checker would refuse the plain form)


@pytest.mark.parametrize("status", list(Status))
def test_terminal_are_those_that_nothing_follows(status: Status) -> None:
    assert (status in TERMINAL) == (status in ("completed", "failed", "cancelled"))
    assert QUEUED.model_copy(update={"status": status}).is_terminal == (status in TERMINAL)


@given(text=TEXT, key=TEXT, payload=JSON)
def test_the_json_is_the_same_bytes_after_any_number_of_readings(text: str, key: str, payload: JsonValue) -> None:
    record = Record.queued("a-job", 1, 2, {key: text}, payload).completed(text, text, None, 60)
    encoded = record.encode()
    assert Record.decode(encoded).encode() == encoded
    assert Record.decode(encoded) == record
    assert record.encoded().body == encoded


@given(created_at=st.floats(0, 1e10), deadline_at=st.integers(0, 10**10), metadata=st.dictionaries(TEXT, TEXT))
def test_the_json_of_a_submission_is_that_of_its_record(
    created_at: float, deadline_at: int, metadata: dict[str, str]
) -> None:
    record = Record.queued("a-job", created_at, deadline_at, metadata)
    assert queued_json("a-job", created_at, deadline_at, metadata) == record.encode()


def test_odd_characters_survive() -> None:
    record = Record.queued("a-job", 1, 2, {"odd": ODD}, {ODD: ODD}).completed(ODD, ODD, None, 60)
    again = Record.decode(record.encode())
    assert (again.output_text, again.metadata, again.payload) == (ODD, {"odd": ODD}, {ODD: ODD})
    assert json.loads(record.encode())["output_text"] == ODD


@pytest.mark.parametrize("encoded", [b"", b"{}", b"null", b"\xff", b'{"id":"a"}', QUEUED.encode()[:-1]])
def test_what_is_no_record_is_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the text is pydantic's)
        Record.decode(encoded)
