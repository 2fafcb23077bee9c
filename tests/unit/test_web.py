"""What every answer of a public door has: an id, our shape of errors, and a place in the metrics."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from common.errors import BrokerUnavailable, ErrorCode, InvalidRequest, ServiceError
from common.replies import Reply, error_reply
from common.requests import MAX_BODY_BYTES
from common.web import REQUEST_ID, application, json_body

Door = TestClient[web.Request, web.Application]
JSON = {"Content-Type": "application/json"}
FAILURES: dict[str, Callable[[], Exception]] = {
    "invalid": lambda: InvalidRequest("must not be blank", "msg"),
    "unauthenticated": lambda: ServiceError(ErrorCode.UNAUTHENTICATED),
    "broker": BrokerUnavailable,
    "broken": lambda: RuntimeError("hunter2"),
    "down": web.HTTPBadGateway,
}


async def echo(request: web.Request) -> web.Response:
    return Reply(await json_body(request), 202).response()


async def whoami(request: web.Request) -> web.Response:
    return web.json_response({"request_id": request[REQUEST_ID], "id": request.match_info["id"]})


async def fail(request: web.Request) -> web.Response:
    error = FAILURES[request.match_info["how"]]
    raise error()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    routes = [web.post("/echo", echo), web.get("/who/{id}", whoami), web.get("/fail/{how}", fail)]
    async with TestClient(TestServer(application(routes))) as client:
        yield client


async def refused(door: Door, method: str, path: str, status: int, **request: Any) -> dict[str, Any]:
    async with door.request(method, path, **request) as response:
        document = await response.json()
        assert (response.status, response.content_type) == (status, "application/json")
        assert list(document) == ["error"]
        assert list(document["error"]) == ["code", "message", "type", "param", "retryable", "request_id"]
        assert document["error"]["request_id"] == response.headers["X-Request-Id"]
        return {**document["error"], "headers": response.headers}


async def test_nothing_at_a_path(door: Door) -> None:
    assert (await refused(door, "GET", "/nowhere", 404))["code"] == "not_found"


async def test_a_method_that_a_path_does_not_take(door: Door) -> None:
    error = await refused(door, "GET", "/echo", 405)
    assert (error["code"], error["headers"]["Allow"]) == ("method_not_allowed", "POST")


async def test_a_body_that_is_too_large(door: Door) -> None:
    body = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    async with door.post("/echo", data=body, headers=JSON) as response:
        assert (response.status, await response.read()) == (202, body)
    assert (await refused(door, "POST", "/echo", 413, data=body + b" ", headers=JSON))["code"] == "too_large"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonp", ""],
)
async def test_a_body_that_is_not_said_to_be_json(door: Door, content_type: str) -> None:
    error = await refused(door, "POST", "/echo", 415, data=b"{}", headers={"Content-Type": content_type})
    assert error["code"] == "unsupported_media_type"


@pytest.mark.parametrize("content_type", ["application/json", "APPLICATION/JSON", "application/json; charset=UTF-8"])
async def test_json_in_utf_8_is_read_as_it_is(door: Door, content_type: str) -> None:
    body = '{"msg": "你好 👋"}'.encode()
    async with door.post("/echo", data=body, headers={"Content-Type": content_type}) as response:
        assert await response.read() == body


async def test_an_error_of_ours_keeps_its_words(door: Door) -> None:
    error = await refused(door, "GET", "/fail/invalid", 400)
    assert (error["code"], error["message"], error["param"]) == ("invalid_request", "must not be blank", "msg")


async def test_who_is_not_known_is_told_how_to_say_it(door: Door) -> None:
    error = await refused(door, "GET", "/fail/unauthenticated", 401)
    assert error["headers"]["WWW-Authenticate"] == "Bearer"


async def test_what_may_pass_says_when_to_come_again(door: Door) -> None:
    error = await refused(door, "GET", "/fail/broker", 503)
    assert error["retryable"]
    assert int(error["headers"]["Retry-After"]) > 0


@pytest.mark.parametrize("how", ["broken", "down"])
async def test_an_unforeseen_error_says_nothing_of_its_cause(door: Door, how: str) -> None:
    error = await refused(door, "GET", f"/fail/{how}", 500)
    assert (error["code"], error["message"]) == ("internal", "Something went wrong on our side.")


async def test_an_id_that_was_sent_is_kept(door: Door) -> None:
    async with door.get("/who/1", headers={"X-Request-Id": "A.b_c-d:17"}) as response:
        assert (await response.json())["request_id"] == response.headers["X-Request-Id"] == "A.b_c-d:17"


@pytest.mark.parametrize("offered", [None, "", "a b", "x" * 129, "é", "a,b", "<script>"])
async def test_without_a_usable_id_one_is_minted(door: Door, offered: str | None) -> None:
    headers = {} if offered is None else {"X-Request-Id": offered}
    async with door.get("/who/1", headers=headers) as response:
        assert re.fullmatch("req_[0-9a-f]{32}", response.headers["X-Request-Id"])
        assert (await response.json())["request_id"] == response.headers["X-Request-Id"]


async def test_requests_are_counted_by_route_and_never_by_path(door: Door) -> None:
    paths = ["/who/secret-id", "/secret-path", "/fail/broken", "/who/secret/deeper"]
    for path in paths:
        async with door.get(path):
            pass
    async with door.request("SECRETMETHOD", "/who/1"):
        pass
    exported = generate_latest().decode()
    assert "secret" not in exported.lower()
    assert 'gpt_jobs_http_requests_total{method="GET",route="/who/{id}",status="200"}' in exported
    assert 'gpt_jobs_http_requests_total{method="GET",route="/fail/{how}",status="500"}' in exported
    assert 'gpt_jobs_http_requests_total{method="other",route="other",status="404"}' in exported
    assert 'gpt_jobs_http_request_seconds_count{route="/who/{id}"}' in exported


def test_an_envelope_goes_around_the_error() -> None:
    answer = error_reply(BrokerUnavailable(), "req_1", envelope={"isOk": False})
    document = json.loads(answer.body)
    assert (document["isOk"], document["error"]["code"]) == (False, "broker_unavailable")


@pytest.mark.parametrize(
    ("one_in", "paths", "statuses"),
    [
        (3, ["/who/me"] * 7, [200, 200, 200]),
        (0, ["/who/me"] * 3, []),
        (0, ["/nowhere", "/who/me", "/fail/broker"], [404, 503]),
    ],
)
async def test_one_in_so_many_requests_is_logged_and_each_that_fails(
    one_in: int, paths: list[str], statuses: list[int]
) -> None:
    routes = [web.get("/who/{id}", whoami), web.get("/fail/{how}", fail)]
    with capture_logs() as lines:
        async with TestClient(TestServer(application(routes, one_in))) as client:
            for path in paths:
                await client.get(path)
    answered = [line for line in lines if line["event"] == "request_answered"]
    assert [line["status"] for line in answered] == statuses
    assert all(line["log_level"] == ("warning" if line["status"] >= 500 else "info") for line in answered)
