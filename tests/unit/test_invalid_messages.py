"""What is not a job: each such message is refused with its reason, and with its id if one can be read."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import messages
from common.errors import ErrorCode
from common.messages import MAX_BODY_BYTES, InvalidMessage, Message

JOB = {"id": "17", "msg": "hello"}
ODD: list[Any] = [True, 0, -1.5, "", "text", [], ["text"], [[]], {}, {"a": 1}, {"a": {"b": []}}]
FIELDS = ["id", "reqId", "msg", "messages", "template", "inputs", "options", "metadata", "payload"]
OPTIONS = [
    "model",
    "system",
    "temperature",
    "top_p",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "timeout_s",
    "parent_id",
]
THEIR_OPTIONS = ["systemMessage", "timeoutMs", "completionParams", "parentMessageId"]


def refused(body: bytes, message_id: str | None = None) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as refusal:
        messages.decode(Message(body, message_id=message_id))
    assert refusal.value.code is ErrorCode.INVALID_MESSAGE
    return refusal.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b'{"id":"17","msg":"hello"',
        b'{"id":"17","msg":"hello"} {}',
        b"{'id':'17','msg':'hello'}",
        b'{"id":"17","msg":"hello",}',
        b'\xff{"id":"17"}',
        '{"id":"17","msg":"hello"}'.encode("utf-16"),
        b'{"id":"17","msg":"\xc3"}',
        b'{"id":"17","msg":"\xed\xa0\x80"}',
        rb'{"id":"17","msg":"\ud800"}',
        rb'{"id":"17","msg":"hello","payload":"\udfff"}',
        b'{"id":"17","msg":"hello","payload":NaN}',
        b'{"id":"17","msg":"hello","payload":-Infinity}',
        b'{"id":"17","msg":"hello","payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id":"17","msg":"hello","payload":1' + b"0" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:50]),
)
def test_what_is_not_json_in_utf_8_is_refused_under_the_id_of_the_message(body: bytes) -> None:
    assert refused(body).job_id is None
    assert refused(body, "no id").job_id is None
    assert (refused(body, "18").message, refused(body, "18").job_id) == ("the body is not valid JSON in UTF-8", "18")


@pytest.mark.parametrize("body", [b"null", b"17", b'"hello"', b"[]", b'[{"id":"17"}]', b"true"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert refused(body).message == "the body is not a JSON object"


def test_a_body_of_the_largest_size_is_read_and_one_byte_more_refused() -> None:
    job = json.dumps(JOB).encode()
    assert messages.decode(Message(job.ljust(MAX_BODY_BYTES))).job_id == "17"
    assert refused(job.ljust(MAX_BODY_BYTES + 1)).message == f"the body is larger than {MAX_BODY_BYTES} bytes"


def test_without_any_id_the_id_is_asked_for() -> None:
    refusal = refused(b'{"msg":"hello"}')
    assert (refusal.param, refusal.message, refusal.job_id) == ("id", "is required", None)


@pytest.mark.parametrize("name", ["id", "reqId"])
@pytest.mark.parametrize("value", ["", "a b", "a/b", "é", "a\n", "x" * 129, 17, 1.5, True, [], ["17"], {}])
def test_a_bad_id_is_refused_by_its_name(name: str, value: Any) -> None:
    refusal = refused(json.dumps({name: value, "msg": "hello"}).encode(), message_id="18")
    assert (refusal.param, refusal.job_id) == (name, None)
    assert refusal.message == "must be 1 to 128 characters of A-Z a-z 0-9 . _ : -"


def test_a_bad_message_id_is_refused_by_its_name() -> None:
    assert refused(b'{"msg":"hello"}', message_id="a b").param == "message_id"


@pytest.mark.parametrize("req_id", ["18", "", 17, [], ["17"], {"a": []}, False])
def test_two_ids_that_differ_are_refused_under_the_first(req_id: Any) -> None:
    refusal = refused(json.dumps({**JOB, "reqId": req_id}).encode())
    assert (refusal.param, refusal.message, refusal.job_id) == ("reqId", "id and reqId differ", "17")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"msg": None}, "msg"),
        ({"msg": ""}, "msg"),
        ({"msg": " \n\t\u3000"}, "msg"),
        ({"msg": 17}, "msg"),
        ({"msg": ["hello"]}, "msg"),
        ({"messages": [{"role": "user", "content": "hello"}]}, "messages"),
        ({"msg": None, "messages": []}, "messages"),
        ({"msg": None, "messages": [{"role": "robot", "content": "hello"}]}, "messages.0.role"),
        ({"msg": None, "messages": [{"role": "user"}]}, "messages.0.content"),
        ({"inputs": {}}, "inputs"),
        ({"template": "fortune"}, "template"),
        ({"options": "none"}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"systemMessage": 5}}, "options.system"),
        ({"options": {"timeoutMs": 0}}, "options.timeout_s"),
        ({"options": {"completionParams": {"top_p": 2}}}, "options.top_p"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"metadata": []}, "metadata"),
    ],
)
def test_a_bad_field_is_named_and_the_id_told(changes: dict[str, Any], param: str) -> None:
    refusal = refused(json.dumps({**JOB, **changes}).encode())
    assert (refusal.param, refusal.job_id) == (param, "17")


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_any_type_is_read_or_refused(name: str, value: Any) -> None:
    read_or_refused(json.dumps({**JOB, name: value}).encode())


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("name", OPTIONS + THEIR_OPTIONS)
def test_an_option_of_any_type_is_read_or_refused(name: str, value: Any) -> None:
    read_or_refused(json.dumps({**JOB, "options": {name: value}}).encode())
    read_or_refused(json.dumps({**JOB, "options": {"completionParams": {name: value}}}).encode())


def test_a_timeout_beyond_all_numbers_is_refused() -> None:
    refused(b'{"id":"17","msg":"x","options":{"timeoutMs":1' + b"0" * 400 + b"}}")


@pytest.mark.parametrize("payload", [b"1e999", b"[-1e999]", b'{"a":[1e400]}'])
def test_a_payload_that_no_json_can_hold_is_refused(payload: bytes) -> None:
    refused(b'{"id":"17","msg":"x","payload":' + payload + b"}")


@pytest.mark.parametrize("options", [{"timeoutMs": True}, {"timeoutMs": "1000"}, {"completionParams": "x"}])
def test_an_original_option_of_a_wrong_type_is_refused(options: dict[str, Any]) -> None:
    refused(json.dumps({**JOB, "options": options}).encode())


@given(st.binary() | st.text().map(lambda text: json.dumps({**JOB, "msg": text}).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read_or_refused(body)


def read_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        assert messages.decode(Message(body)).job_id in ("17", "text")
