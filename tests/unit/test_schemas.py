"""The bodies that the gateway takes."""

import json
from typing import Any

import pytest

from common.errors import InvalidRequest
from gateway.schemas import Submission, read_predict_start, read_submission

MAX_DEADLINE_S, MAX_TIMEOUT_S = 3600, 300


def read(body: Any) -> Submission:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_submission(encoded, MAX_DEADLINE_S, MAX_TIMEOUT_S)


def refused(body: Any) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequest) as refusal:
        read(body)
    return refusal.value.param, refusal.value.message


def test_a_submission_is_a_job_request_with_a_deadline() -> None:
    submission = read({"msg": "你好", "deadline_s": 60, "options": {"timeout_s": 5}, "metadata": {"k": "v"}})
    assert (submission.msg, submission.deadline_s, submission.options.timeout_s) == ("你好", 60, 5)
    assert submission.metadata == {"k": "v"}


@pytest.mark.parametrize("body", [b"", b"hello", b'{"msg":"\xff"}', rb'{"msg":"\ud800"}', b"[" * 100_000])
def test_what_is_not_json_in_utf_8_is_refused(body: bytes) -> None:
    assert refused(body) == (None, "the body is not valid JSON in UTF-8")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"hello"', b"17"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert refused(body)[0] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "msg"),
        ({"msg": " "}, "msg"),
        ({"msg": "x", "messages": [{"role": "user", "content": "x"}]}, "messages"),
        ({"msg": "x", "surprise": 1}, "surprise"),
        ({"msg": "x", "payload": {}}, "payload"),
        ({"msg": "x", "id": "17"}, "id"),
        ({"msg": "x", "options": {"heat": 1}}, "options.heat"),
        ({"msg": "x", "options": {"top_p": 2}}, "options.top_p"),
        ({"msg": "x", "options": {"timeout_s": 301}}, "options.timeout_s"),
        ({"msg": "x", "deadline_s": 3601}, "deadline_s"),
        ({"msg": "x", "deadline_s": 0}, "deadline_s"),
        ({"msg": "x", "deadline_s": -1}, "deadline_s"),
        ({"msg": "x", "deadline_s": "60"}, "deadline_s"),
        ({"msg": "x", "deadline_s": True}, "deadline_s"),
        (b'{"msg":"x","deadline_s":1e999}', "deadline_s"),
        (b'{"msg":"x","deadline_s":NaN}', "deadline_s"),
    ],
)
def test_what_is_wrong_is_named(body: Any, param: str) -> None:
    assert refused(body)[0] == param


@pytest.mark.parametrize("limit", [{"deadline_s": MAX_DEADLINE_S}, {"options": {"timeout_s": MAX_TIMEOUT_S}}])
def test_the_limits_themselves_are_allowed(limit: dict[str, Any]) -> None:
    read({"msg": "x", **limit})


def test_the_limit_is_told() -> None:
    assert refused({"msg": "x", "deadline_s": 3600.5}) == ("deadline_s", "must be at most 3600")


def test_the_originals_call_is_the_template_fortune() -> None:
    submission = read_predict_start(json.dumps({"name": "李", "gender": "男", "birth": "1990-01-02"}).encode())
    assert submission.template == "fortune"
    assert submission.inputs == {"name": "李", "gender": "男", "birth": "1990-01-02"}


def test_a_null_input_of_the_originals_call_is_an_absent_one() -> None:
    assert read_predict_start(b'{"name":null,"gender":"m"}').inputs == {"gender": "m"}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b'{"gender":"\xff"}', rb'{"gender":"\ud800"}'])
def test_an_original_call_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_predict_start(body)
