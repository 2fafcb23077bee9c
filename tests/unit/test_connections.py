"""Connections with a shortcut, at their worst: cut, hurried, left, cancelled, unreadable, stopped."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from aiohttp.web_protocol import RequestHandler

from common.connections import Connection, Runner
from common.web import application, serving
from tests.unit.door import JSON, TIMEOUT_S, Door, elsewhere, opened, request, response, told_at_least
from tests.waiting import eventually

Stopping = tuple[asyncio.StreamReader, "asyncio.Task[bool | None]"]


@pytest.fixture
async def broken() -> AsyncIterator[list[object]]:
    """What has gone wrong in tasks that nobody waits for."""
    found: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


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


async def test_without_shortcuts_connections_are_aiohttps_own() -> None:
    door = Door("get")
    for shortcuts, kind in (([], RequestHandler), ([door.shortcut], Connection)):
        runner = Runner(door.app if shortcuts else application([]), shortcuts, access_log=None)
        await runner.setup()
        assert type(runner.server()) is kind
        await runner.cleanup()
