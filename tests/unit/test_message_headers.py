"""The headers that we read, whatever a foreign publisher has put into them."""

from typing import Any

import pytest

from common import messages
from common.messages import InvalidMessage, Message


def with_header(name: str, value: Any) -> Message:
    return Message(b"", headers={name: value})


@pytest.mark.parametrize(
    ("value", "deadline"),
    [(1_700_000_000, 1.7e9), (1.5, 1.5), ("1700000000.5", 1_700_000_000.5), (" 5 ", 5.0), (-1, -1.0),
     (2**63 - 1, 2.0**63), (0, 0), (None, 42)],
)  # fmt: skip
def test_a_deadline_is_a_number_or_a_numeral(value: Any, deadline: float | None) -> None:
    assert messages.deadline_of(with_header("x-deadline", value), 42) == deadline


def test_without_the_header_the_default_holds() -> None:
    assert messages.deadline_of(Message(b""), 42) == 42


@pytest.mark.parametrize("value", ["", "soon", "nan", "-inf", "1e999", "2026-01-01", float("inf"), float("nan")])
def test_a_deadline_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        messages.deadline_of(with_header("x-deadline", value), 42)
    assert (refusal.value.param, refusal.value.message) == ("x-deadline", "must be a number of Unix seconds")


@pytest.mark.parametrize(
    ("value", "attempts"),
    [(3, 3), (0, 0), (-1, 0), ("3", 0), (3.0, 0), (None, 0), (False, 0), ("", 0)],
)
def test_attempts_are_counted_on_from_a_whole_number_and_from_none_otherwise(value: Any, attempts: int) -> None:
    assert messages.attempts_before(with_header("x-attempt", value)) == attempts


def test_without_the_header_no_attempt_was_made() -> None:
    assert messages.attempts_before(Message(b"")) == 0


@pytest.mark.parametrize(("value", "request_id"), [("req_1", "req_1"), (17, None), (True, None), (None, None)])
def test_a_request_id_is_a_text(value: Any, request_id: str | None) -> None:
    assert messages.request_id_of(with_header("x-request-id", value)) == request_id
