"""Bad input at the HTTP doors: a 4xx that names the field, and nothing is published."""

from typing import Any

import pytest
from aiohttp import ClientSession

from tests.client import Client, ask

BAD_SUBMISSIONS: list[tuple[Any, str | None]] = [
    ({}, "msg"),
    ({"msg": ""}, "msg"),
    ({"msg": " \n\t"}, "msg"),
    ({"msg": None}, "msg"),
    ({"msg": 1}, "msg"),
    ({"msg": "x" * 200_001}, "msg"),
    ({"msg": "x", "messages": [{"role": "user", "content": "x"}]}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "x"}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": "x", "name": "x"}]}, "messages.0.name"),
    ({"messages": [{"role": "user", "content": "x"}] * 257}, "messages"),
    ({"messages": [{"role": "user", "content": "x"}] * 256, "options": {"system": "x"}}, "messages"),
    ({"template": "nope", "inputs": {}}, "template"),
    ({"template": "fortune"}, "inputs.gender"),
    ({"template": "fortune", "inputs": {"gender": "男"}}, "inputs.birth"),
    ({"template": "fortune", "inputs": {"gender": "男", "birth": "1990-02-30"}}, "inputs.birth"),
    ({"template": "fortune", "inputs": {"gender": "男", "birth": "1990-02-20", "x": 1}}, "inputs.x"),
    ({"msg": "x", "inputs": {}}, "inputs"),
    ({"msg": "x", "options": {"temperature": 2.1}}, "options.temperature"),
    ({"msg": "x", "options": {"temperature": "1"}}, "options.temperature"),
    ({"msg": "x", "options": {"top_p": -0.1}}, "options.top_p"),
    ({"msg": "x", "options": {"max_tokens": 0}}, "options.max_tokens"),
    ({"msg": "x", "options": {"max_tokens": 1.5}}, "options.max_tokens"),
    ({"msg": "x", "options": {"timeout_s": 0}}, "options.timeout_s"),
    ({"msg": "x", "options": {"timeout_s": 301}}, "options.timeout_s"),
    ({"msg": "x", "options": {"model": ""}}, "options.model"),
    ({"msg": "x", "options": {"surprise": 1}}, "options.surprise"),
    ({"msg": "x", "metadata": {"a": 1}}, "metadata.a"),
    ({"msg": "x", "metadata": {str(number): "x" for number in range(17)}}, "metadata"),
    ({"msg": "x", "metadata": {"a": "x" * 513}}, "metadata.a"),
    ({"msg": "x", "deadline_s": 0}, "deadline_s"),
    ({"msg": "x", "deadline_s": 3601}, "deadline_s"),
    ({"msg": "x", "surprise": 1}, "surprise"),
    ([], None),
    ("x", None),
]
BAD_BODIES = [b"", b"{", b'{"msg": "\xff"}', b'{"msg": "\\ud800"}', b'{"msg": NaN}', b"[" * 100_000]


@pytest.mark.parametrize(("body", "param"), BAD_SUBMISSIONS)
async def test_a_bad_submission_names_the_field(body: Any, param: str | None, system: Client) -> None:
    accepted = await system.accepted()
    answer = await system.post("/v1/jobs", body)

    assert answer.status == 400
    assert await system.accepted() == accepted
    _assert_error_shape(answer.body["error"], "invalid_request", answer.headers["X-Request-Id"])
    assert answer.body["error"]["param"] == param
    assert "x" * 100 not in answer.raw.decode()


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict/start"])
@pytest.mark.parametrize("body", BAD_BODIES)
async def test_a_body_that_is_no_json_is_refused(path: str, body: bytes, system: Client, http: ClientSession) -> None:
    answer = await ask(
        http, "POST", system.gateway_url / path[1:], data=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status == 400
    _assert_error_shape(answer.body["error"], "invalid_request", answer.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=gbk"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, b" " * (256 * 1024 + 1), 413, "too_large"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", 400, "invalid_request"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict/start"])
async def test_what_is_no_json_in_size_or_kind_is_refused(
    path: str, headers: dict[str, str], body: bytes, status: int, code: str, system: Client, http: ClientSession
) -> None:
    answer = await ask(http, "POST", system.gateway_url / path[1:], data=body, headers=headers)

    assert answer.status == status
    _assert_error_shape(answer.body["error"], code, answer.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "gender"), ({"gender": "男", "birth": "soon"}, "birth"), ([], None)],
)
async def test_a_bad_predict_start_says_so_in_both_shapes(body: Any, param: str | None, system: Client) -> None:
    answer = await system.post("/predict/start", body)

    assert answer.status == 400
    assert answer.body["isOk"] is False
    assert answer.body["errMsg"].endswith(answer.body["error"]["message"])
    assert param is None or answer.body["errMsg"].startswith(param)
    assert answer.body["error"]["param"] == param


@pytest.mark.parametrize("wait", ["-1", "26", "nan", "1e2", "1_0", "inf", "", "x", "1,5"])
async def test_a_bad_wait_is_refused(wait: str, system: Client, http: ClientSession) -> None:
    answer = await ask(http, "GET", system.reader_url / "v1/results/some-id" % {"wait": wait})

    assert (answer.status, answer.body["error"]["param"]) == (400, "wait")


@pytest.mark.parametrize("ids", [None, "", ",", ",".join(["a"] * 51)])
async def test_bad_ids_are_refused(ids: str | None, system: Client, http: ClientSession) -> None:
    query = {} if ids is None else {"ids": ids}
    answer = await ask(http, "GET", (system.reader_url / "v1/results").with_query(query))

    assert (answer.status, answer.body["error"]["param"]) == (400, "ids")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/jobs", 405, "method_not_allowed"),
        ("POST", "/v1/nothing", 404, "not_found"),
        ("POST", "/", 404, "not_found"),
    ],
)
async def test_what_is_not_there_is_told_in_json(
    method: str, path: str, status: int, code: str, system: Client, http: ClientSession
) -> None:
    answer = await ask(http, method, system.gateway_url.with_path(path))

    assert answer.status == status
    _assert_error_shape(answer.body["error"], code, answer.headers["X-Request-Id"])


@pytest.mark.parametrize("body", [b"", b"[]", b'{"reqId": 1}', b'{"reqId": "a b"}', b"{}"])
async def test_a_bad_predict_query_is_answered_with_200_in_the_envelope(
    body: bytes, system: Client, http: ClientSession
) -> None:
    answer = await ask(
        http, "POST", system.reader_url / "predict/query", data=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status == 200
    assert answer.body["isOk"] is False
    assert answer.body["model"] == {"done": True}
    assert answer.body["errMsg"]


def _assert_error_shape(error: dict[str, Any], code: str, request_id: str) -> None:
    assert set(error) == {"code", "message", "type", "param", "retryable", "request_id"}
    assert (error["code"], error["retryable"], error["request_id"]) == (code, False, request_id)
    assert error["message"]
    assert error["type"]
