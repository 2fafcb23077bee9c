"""The shortcut past aiohttp's application, through real connections: who takes it, and that nothing else shows it."""

import gzip
import re

import pytest
from prometheus_client import generate_latest

from common.replies import Reply
from common.requests import MAX_BODY_BYTES
from tests.unit.door import JSON, Door, opened, request, response


async def test_a_poll_that_asks_for_nothing_unusual() -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        writer.write(request("GET", "/jobs/job_1", "X-Request-Id: mine", "User-Agent: test"))
        status, headers, body = await response(reader)
    assert (door.ways, status, body) == (["short"], 202, b'"job_1"')
    assert (headers["X-Request-Id"], door.told[0].request_id) == ("mine", "mine")


async def test_both_ways_answer_alike() -> None:
    answers = []
    for unusual in ([], ["If-None-Match: x"]):
        door = Door("get")
        async with opened(door) as (reader, writer):
            writer.write(request("GET", "/jobs/job_1", "X-Request-Id: mine", *unusual))
            status, headers, body = await response(reader)
        headers.pop("Date")
        answers.append((status, headers, body, door.told[0]._replace(headers=None)))  # type: ignore[arg-type]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "asked",
    [
        request("GET", "/jobs/1?wait=5"),
        request("GET", "/jobs/1?"),
        request("GET", "/jobs/%31"),
        request("GET", "http://x/jobs/1"),
        request("GET", "/jobs/1", "If-None-Match: abc"),
        request("GET", "/jobs/1", "Origin: https://a.example"),
        request("GET", "/jobs/1", "Expect: 100-continue"),
        request("GET", "/jobs/1", version="1.0"),
        request("GET", "/jobs/1", "Connection: close"),
        request("GET", "/jobs/1", "Connection: Upgrade", "Upgrade: h2c"),
    ],
)
async def test_an_unusual_poll_takes_the_long_way(asked: bytes) -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 100 " in head:
            head = await reader.readuntil(b"\r\n\r\n")
        assert b" 202 " in head
        assert await reader.readexactly(3) == b'"1"'
    assert door.ways == ["long"]


@pytest.mark.parametrize("path", ["/jobs/", "/jobs/1/2", "/jobs", "/nowhere", "/jobs/../jobs"])
async def test_what_is_no_such_path_is_not_found(path: str) -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        writer.write(request("GET", path))
        status, _, _ = await response(reader)
    assert (door.ways, status) == ([], 404)


async def test_a_submission_with_its_body() -> None:
    door = Door("post")
    async with opened(door) as (reader, writer):
        writer.write(request("POST", "/jobs", JSON, body='{"msg": "你好"}'.encode()))
        status, _, body = await response(reader)
    assert (door.ways, status, body) == (["short"], 202, '{"msg": "你好"}'.encode())


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Type: application/json; charset=UTF-8"], b"{}"),
        (["Content-Type: APPLICATION/JSON"], b"{}"),
        ([JSON, "Content-Encoding: gzip"], gzip.compress(b"{}", mtime=0)),
    ],
    ids=["charset", "capitals", "compressed"],
)
async def test_an_unusual_submission_takes_the_long_way(headers: list[str], body: bytes) -> None:
    door = Door("post")
    async with opened(door) as (reader, writer):
        writer.write(request("POST", "/jobs", *headers, body=body))
        status, _, echo = await response(reader)
    assert (door.ways, status, echo) == (["long"], 202, b"{}")


async def test_a_body_that_is_too_large_is_refused() -> None:
    door = Door("post")
    async with opened(door) as (reader, writer):
        writer.write(request("POST", "/jobs", JSON, body=b"1" * (MAX_BODY_BYTES + 1)))
        status, _, _ = await response(reader)
    assert (door.told, status) == ([], 413)


@pytest.mark.parametrize("length", [[], ["Content-Length: 0"]])
async def test_a_submission_without_a_body(length: list[str]) -> None:
    door = Door("post")
    async with opened(door) as (reader, writer):
        for _ in range(2):
            writer.write(request("POST", "/jobs", JSON, *length))
            assert (await response(reader))[0] == 202
    assert [asked.body for asked in door.told] == [b"", b""]


async def test_a_chunked_body() -> None:
    door = Door("post")
    async with opened(door) as (reader, writer):
        writer.write(request("POST", "/jobs", JSON, "Transfer-Encoding: chunked") + b"1\r\n1\r\n2\r\n23\r\n0\r\n\r\n")
        status, _, body = await response(reader)
    assert (status, body) == (202, b"123")


async def test_errors_have_our_shape() -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        writer.write(request("GET", "/jobs/0"))
        await response(reader)
        writer.write(request("GET", "/jobs/away"))
        status, headers, body = await response(reader)
        assert (status, b'"broker_unavailable"' in body, int(headers["Retry-After"]) > 0) == (503, True, True)
        assert headers["X-Request-Id"].encode() in body
        writer.write(request("GET", "/jobs/broken"))
        status, _, body = await response(reader)
        assert (status, b'"internal"' in body, b"hunter2" in body) == (500, True, False)
        writer.write(request("GET", "/jobs/unknown"))
        status, headers, body = await response(reader)
        assert (status, headers["WWW-Authenticate"], b'"unauthenticated"' in body) == (401, "Bearer", True)
    assert door.ways[1:] == ["short"] * 3


async def test_requests_are_counted_by_route() -> None:
    door = Door("get")
    counted = 'gpt_jobs_http_requests_total{method="GET",route="/jobs/{id}",status="202"}'

    def count() -> float:
        found = re.search(re.escape(counted) + r" ([0-9.]+)", generate_latest().decode())
        return float(found[1]) if found else 0

    before = count()
    async with opened(door) as (reader, writer):
        for _ in range(5):
            writer.write(request("GET", "/jobs/1"))
            await response(reader)
    assert "short" in door.ways
    assert count() - before == 5


async def test_a_body_that_a_get_has_is_nobodys() -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        for _ in range(2):
            writer.write(request("GET", "/jobs/1", body=b"{}"))
            assert (await response(reader))[2] == b'"1"'
    assert door.ways[-1] == "short"


async def test_what_takes_a_shortcut_is_counted() -> None:
    door = Door("get")

    def count() -> float:
        exported = generate_latest().decode()
        return float(exported.partition('gpt_jobs_http_shortcuts_total{route="/jobs/{id}"} ')[2].split()[0])

    before = count()
    async with opened(door) as (reader, writer):
        for path in ("/jobs/1", "/jobs/1", "/jobs/1?", "/jobs/1"):
            writer.write(request("GET", path))
            await response(reader)
    assert count() - before == door.ways.count("short") >= 2


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_header_cannot_hold_a_second_one(end: str) -> None:
    with pytest.raises(ValueError, match="end of a line"):
        Reply(b"{}", headers={"Location": f"/x{end}Set-Cookie: a=b"}).encode("req_1")
