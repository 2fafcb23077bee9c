"""The shortcut past aiohttp's application, through real connections: who takes it, and that nothing else shows it."""

import asyncio
import gc
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import generate_latest

from common.connections import Connection, Runner
from common.errors import BrokerUnavailable, ErrorCode, ServiceError
from common.replies import Reply
from common.requests import MAX_BODY_BYTES, Asked
from common.shortcut import Shortcut
from common.web import REQUEST_ID, application, json_body, serving
from stack.ports import free_port
from tests.waiting import eventually

JSON = "Content-Type: application/json"
TIMEOUT_S = 10

Stopping = tuple[asyncio.StreamReader, "asyncio.Task[bool | None]"]


@dataclass
class Door:
    """One route with a shortcut; what a handler was told, in order, and which way it was told."""

    kind: str
    port: int = field(default_factory=free_port)
    ways: list[str] = field(default_factory=list)
    told: list[Asked] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    #: What was bound for the log when each request began, and how those have ended that have.
    bound: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        method, self.route = ("GET", "/jobs/{id}") if self.kind == "get" else ("POST", "/jobs")
        self.shortcut = Shortcut(method, self.route, self.short, 0)
        self.app = application([web.route(method, self.route, self.long)])

    async def short(self, asked: Asked) -> Reply:
        self.ways.append("short")
        return await self.answer(asked)

    async def long(self, request: web.Request) -> web.Response:
        self.ways.append("long")
        tail = request.match_info.get("id", "")
        body = await json_body(request) if self.kind == "post" else b""
        return (await self.answer(Asked(request.headers, request[REQUEST_ID], tail, body))).response()

    async def answer(self, asked: Asked) -> Reply:
        self.told.append(asked)
        self.bound.append(structlog.contextvars.get_contextvars())
        structlog.contextvars.bind_contextvars(job_id=asked.tail)
        try:
            if asked.tail in self.held:
                await self.held[asked.tail].wait()
            self.ended.append("answered")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        if asked.tail == "cancelled":
            raise asyncio.CancelledError
        if asked.tail == "away":
            raise BrokerUnavailable
        if asked.tail == "unknown":
            raise ServiceError(ErrorCode.UNAUTHENTICATED)
        if asked.tail == "broken":
            raise RuntimeError("hunter2")
        if self.kind == "post":
            return Reply(asked.body, 202)
        body = b'"%s"' % asked.tail.encode()
        return Reply(body * (100_000 if asked.tail == "large" else 1), 202, {"Location": f"/jobs/{asked.tail}"})


@asynccontextmanager
async def opened(door: Door) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serving(door.app, "127.0.0.1", door.port, 5, [door.shortcut]), asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.fixture
async def broken() -> AsyncIterator[list[object]]:
    """What has gone wrong in tasks that nobody waits for."""
    found: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


def request(method: str, path: str, *headers: str, body: bytes = b"", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, await reader.readexactly(int(headers["Content-Length"]))


async def elsewhere(door: Door) -> None:
    """Ask on a connection of its own, after which the server has read all that it had been sent before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(request("GET", "/jobs/0"))
    await response(reader)
    writer.close()


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


@pytest.mark.parametrize("kind", ["get", "post"])
async def test_a_request_in_pieces_wherever_it_is_cut(kind: str) -> None:
    door = Door(kind)
    whole = request("GET", "/jobs/1") if kind == "get" else request("POST", "/jobs", JSON, body=b'"1"')
    async with opened(door) as (reader, writer):
        for cut in range(1, len(whole)):
            writer.write(whole[:cut])
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(whole[cut:])
            assert await response(reader) is not None
    assert [asked.tail or asked.body for asked in door.told] == ["1" if kind == "get" else b'"1"'] * (len(whole) - 1)


@pytest.mark.parametrize("at_once", [True, False])
async def test_requests_that_do_not_wait_for_answers_get_them_in_order(at_once: bool) -> None:
    door = Door("get", held={"1": asyncio.Event()})
    paths = ["/jobs/1", "/jobs/2?", "/jobs/3", "/jobs/broken", "/jobs/5?", "/jobs/6"]
    async with opened(door) as (reader, writer):
        for path in paths if not at_once else ["+".join(paths)]:
            writer.write(b"".join(request("GET", one) for one in path.split("+")))
            await writer.drain()
            await eventually(lambda: door.told)
            await elsewhere(door)
        assert [asked.tail for asked in door.told if asked.tail != "0"] == ["1"]
        door.held["1"].set()
        answers = [await response(reader) for _ in paths]
        # And the connection is of use for more.
        writer.write(request("GET", "/jobs/7"))
        answers.append(await response(reader))
    assert [asked.tail for asked in door.told if asked.tail != "0"] == ["1", "2", "3", "broken", "5", "6", "7"]
    assert [status for status, _, _ in answers] == [202, 202, 202, 500, 202, 202, 202]
    assert answers[4][2] == b'"5"'
    assert (door.ways[0], door.ways[-1]) == ("long" if at_once else "short", "short")


async def test_a_connection_serves_any_number_of_requests() -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        for number in range(500):
            writer.write(request("GET", f"/jobs/{number}"))
            assert (await response(reader))[2] == b'"%d"' % number
        writer.write(request("GET", "/jobs/a") + request("GET", "/jobs/b") + request("GET", "/jobs/c"))
        assert [(await response(reader))[2] for _ in range(3)] == [b'"a"', b'"b"', b'"c"']
    assert door.ways[1:500] == ["short"] * 499  # the first may come before the connection waits for it


async def test_what_is_no_http_is_refused_as_ever() -> None:
    door = Door("get")
    async with opened(door) as (reader, writer):
        writer.write(request("GET", "/jobs/1"))
        await response(reader)
        writer.write(b"GET /jobs/2 HTTP/1.1\r\nHost: x\r\nBad\x00Header: 1\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"400"
        await reader.read()
    assert [asked.tail for asked in door.told] == ["1"]


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


async def test_a_client_that_leaves_does_not_end_its_request(broken: list[object]) -> None:
    door = Door("get", held={"1": asyncio.Event()})
    async with serving(door.app, "127.0.0.1", door.port, 5, [door.shortcut]), asyncio.timeout(TIMEOUT_S):
        for leave in ("close", "abort"):
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(request("GET", "/jobs/0"))
            await response(reader)
            door.held["1"].clear()
            writer.write(request("GET", "/jobs/1"))
            await eventually(lambda: door.told[-1].tail == "1")
            writer.close() if leave == "close" else writer.transport.abort()
            await elsewhere(door)
            door.held["1"].set()
            await elsewhere(door)
    gc.collect()
    assert door.ways.count("short") >= 2
    assert not broken


async def test_a_client_that_reads_nothing_is_not_answered_for_ever() -> None:
    door = Door("get")
    async with opened(door) as (_, writer):
        with suppress(AssertionError):  # nothing more is answered
            for number in range(1, 300):
                writer.write(request("GET", "/jobs/large"))
                await eventually(partial(told_at_least, door, number), 0.5)
    assert 0 < len(door.told) < 100


def told_at_least(door: Door, number: int) -> bool:
    return len(door.told) >= number


@asynccontextmanager
async def stopping(door: Door, timeout_s: float, *, has_left: bool = False) -> AsyncIterator[Stopping]:
    """Stop the server while it has a request in hand, whose client may have left before."""
    door.held["1"] = asyncio.Event()
    async with asyncio.timeout(TIMEOUT_S):
        server = serving(door.app, "127.0.0.1", door.port, timeout_s, [door.shortcut])
        await server.__aenter__()
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(request("GET", "/jobs/0"))
        await response(reader)
        writer.write(request("GET", "/jobs/1"))
        await eventually(lambda: door.told[-1].tail == "1")
        if has_left:
            writer.transport.abort()
            await elsewhere(door)
        task = asyncio.create_task(server.__aexit__(None, None, None))
        await eventually(partial(is_refused, door))
        yield reader, task
        writer.close()


async def is_refused(door: Door) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def test_what_is_in_hand_is_answered_before_the_server_stops() -> None:
    door = Door("get")
    async with stopping(door, TIMEOUT_S) as (reader, task):
        assert not task.done()
        door.held["1"].set()
        assert (await response(reader))[2] == b'"1"'
        assert await reader.read() == b""
        await task
    assert door.ways[-1] == "short"


async def test_a_server_does_not_stop_later_because_a_request_has_no_end() -> None:
    door = Door("get")
    async with stopping(door, 0.1) as (reader, task):
        await task
        assert await reader.read() == b""
    assert door.ended[-1] == "cancelled"


async def test_a_request_whose_client_has_left_is_waited_for() -> None:
    door = Door("get")
    async with stopping(door, TIMEOUT_S, has_left=True) as (_, task):
        await asyncio.wait([task], timeout=0.2)
        assert not task.done()
        door.held["1"].set()
        await task
    assert door.ended[-1] == "answered"


async def test_what_makes_the_parser_fail_closes_the_connection_whenever_it_comes() -> None:
    unreadable = b"GET http://][@ HTTP/1.1\r\nHost: x\r\n\r\n"  # yarl raises an IndexError
    for is_held in (False, True):
        door = Door("get", held={"1": asyncio.Event()})
        async with opened(door) as (reader, writer):
            writer.write(request("GET", "/jobs/0"))
            await response(reader)
            if is_held:
                writer.write(request("GET", "/jobs/1"))
                await eventually(partial(told_at_least, door, 2))
            writer.write(unreadable)
            await elsewhere(door)
            door.held["1"].set()
            assert (b'"1"' in await reader.read()) == is_held


@pytest.mark.parametrize("held", [b"", request("GET", "/jobs/2")])
async def test_a_handler_that_is_cancelled_closes_the_connection(held: bytes) -> None:
    door = Door("get", held={"cancelled": asyncio.Event()})
    async with opened(door) as (reader, writer):
        writer.write(request("GET", "/jobs/0"))
        await response(reader)
        writer.write(request("GET", "/jobs/cancelled"))
        await eventually(partial(told_at_least, door, 2))
        writer.write(held)
        await elsewhere(door)
        door.held["cancelled"].set()
        assert await reader.read() == b""


async def test_nothing_is_left_bound_for_the_next_request() -> None:
    door = Door("get", held={"1": asyncio.Event()})
    async with opened(door) as (reader, writer):
        writer.write(request("GET", "/jobs/1"))
        await eventually(partial(told_at_least, door, 1))
        writer.write(request("GET", "/jobs/2"))
        await elsewhere(door)
        door.held["1"].set()
        await response(reader)
        await response(reader)
    assert [set(bound) for bound in door.bound] == [{"request_id"}] * 3


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


async def test_without_shortcuts_connections_are_aiohttps_own() -> None:
    door = Door("get")
    for shortcuts, kind in (([], RequestHandler), ([door.shortcut], Connection)):
        runner = Runner(door.app if shortcuts else application([]), shortcuts, access_log=None)
        await runner.setup()
        assert type(runner.server()) is kind
        await runner.cleanup()


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_header_cannot_hold_a_second_one(end: str) -> None:
    with pytest.raises(ValueError, match="end of a line"):
        Reply(b"{}", headers={"Location": f"/x{end}Set-Cookie: a=b"}).encode("req_1")
