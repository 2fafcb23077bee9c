"""The connection that everybody shares: one caller's failure is not another's, and a lost one is replaced."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from common.breaker import Breaker
from common.cache.commands import Script, ScriptUnknown
from common.cache.connecting import LOST, NO_RETRY, CutOff, new_pool
from common.cache.shared_connection import MOST_BYTES, MOST_UNANSWERED, SharedConnection
from common.errors import CacheUnavailable
from stack.process import Process
from stack.tcp_proxy import Direction, Moment, TcpProxy
from tests.waiting import eventually

TIMEOUT_S = 0.5


@pytest.fixture
def url(own_redis: Process) -> str:
    return own_redis.program.url


@pytest.fixture
async def shared(url: str) -> AsyncIterator[SharedConnection]:
    async with aclosing(SharedConnection(url, TIMEOUT_S, Breaker("cache", LOST), CutOff())) as connection:
        yield connection


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(urlsplit(url).port or 0) as running:
        yield running


def through(proxy: TcpProxy) -> aclosing[SharedConnection]:
    url = f"redis://127.0.0.1:{proxy.port}/0"
    return aclosing(SharedConnection(url, 5, Breaker("cache", LOST), CutOff()))


@pytest.fixture
async def server(url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(url) as client:
        yield client


async def test_each_caller_gets_its_own_answer(shared: SharedConnection) -> None:
    numbers = range(3 * MOST_UNANSWERED)
    answers = await asyncio.gather(*(shared.call(b"ECHO", number) for number in numbers))
    assert answers == [str(number).encode() for number in numbers]


async def test_what_is_large_comes_through_whole(shared: SharedConnection) -> None:
    parts = [bytes([65 + number]) * (MOST_BYTES // 8) for number in range(20)]
    assert await asyncio.gather(*(shared.call(b"ECHO", part) for part in parts)) == parts


async def test_the_commands_of_one_turn_share_a_connection(
    shared: SharedConnection, server: redis.asyncio.Redis
) -> None:
    before = (await server.info("clients"))["connected_clients"]
    await asyncio.gather(*(shared.call(b"PING") for _ in range(500)))
    assert (await server.info("clients"))["connected_clients"] == before + 1


async def test_an_error_is_told_to_its_own_caller_only(shared: SharedConnection) -> None:
    await shared.call(b"SET", "a-string", b"text")
    wrong = [number % 10 == 3 for number in range(100)]
    calls = (shared.call(b"LPUSH", "a-string", b"x") if is_wrong else shared.call(b"PING") for is_wrong in wrong)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, CacheUnavailable) for answer in answers] == wrong
    assert {answer for answer in answers if isinstance(answer, bytes)} == {b"PONG"}


async def test_a_caller_that_has_gone_takes_nobody_elses_answer(shared: SharedConnection) -> None:
    await shared.call(b"PING")
    calls = [asyncio.ensure_future(shared.call(b"ECHO", number)) for number in range(100)]
    # Some before they are written, some after.
    for gone in calls[::3]:
        gone.cancel()
    await asyncio.sleep(0)
    for gone in calls[1::3]:
        gone.cancel()
    assert await asyncio.gather(*calls[2::3]) == [str(number).encode() for number in range(2, 100, 3)]


async def test_what_was_on_a_connection_that_is_cut_is_sent_again(proxy: TcpProxy) -> None:
    """They get to the server, and their answers do not get back."""
    async with through(proxy) as shared:
        await shared.call(b"PING")
        cut = proxy.cut_at(b"a-number-7", Direction.FROM_CLIENT, Moment.BEFORE_THE_ANSWER)
        names = [f"a-number-{number}" for number in range(50)]
        answers = await asyncio.gather(*(shared.call(b"ECHO", name) for name in names))
        assert cut.happened.is_set()
        assert answers == [name.encode() for name in names]


async def test_what_is_lost_twice_fails_and_what_comes_after_does_not(proxy: TcpProxy) -> None:
    async with through(proxy) as shared:
        await shared.call(b"PING")
        cut = proxy.cut_at(b"a-number", Direction.FROM_CLIENT, Moment.BEFORE_THE_ANSWER, times=2)
        calls = [shared.call(b"ECHO", f"a-number-{number}") for number in range(2)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert cut.happened.is_set()
        assert all(isinstance(answer, CacheUnavailable) for answer in answers)
        assert await shared.call(b"PING") == b"PONG"


async def test_a_lost_connection_is_made_anew_and_noted(url: str, server: redis.asyncio.Redis) -> None:
    cut_off = CutOff()
    async with aclosing(SharedConnection(url, TIMEOUT_S, Breaker("cache", LOST), cut_off)) as shared:
        await shared.call(b"CLIENT", b"SETNAME", b"shared")
        assert not cut_off.was_within(60)
        await _kill(server, b"shared")
        await eventually(lambda: _is_noted(cut_off), 5)
        assert await shared.call(b"PING") == b"PONG"


async def test_each_waits_its_own_time_for_a_frozen_server(shared: SharedConnection, own_redis: Process) -> None:
    await shared.call(b"PING")
    own_redis.freeze()
    try:
        began = time.monotonic()
        first = asyncio.ensure_future(_seconds_until_unavailable(shared))
        await asyncio.sleep(TIMEOUT_S / 2)
        second = asyncio.ensure_future(_seconds_until_unavailable(shared))
        waited = await asyncio.gather(first, second)
        assert all(TIMEOUT_S - 0.05 < seconds < TIMEOUT_S + 1 for seconds in waited)
        assert time.monotonic() - began > TIMEOUT_S * 1.4
    finally:
        own_redis.thaw()
    await eventually(lambda: _answers(shared), 5)


async def test_a_server_that_wakes_in_time_answers_all(shared: SharedConnection, own_redis: Process) -> None:
    await shared.call(b"PING")
    own_redis.freeze()
    calls = [asyncio.ensure_future(shared.call(b"ECHO", number)) for number in range(200)]
    await asyncio.sleep(TIMEOUT_S / 3)
    own_redis.thaw()
    assert await asyncio.gather(*calls) == [str(number).encode() for number in range(200)]


async def test_a_script_is_told_to_a_server_that_does_not_know_it(
    shared: SharedConnection, server: redis.asyncio.Redis
) -> None:
    script = Script("return ARGV[1]")
    assert await script.run(shared, [], b"one") == b"one"
    await server.script_flush()
    with pytest.raises(ScriptUnknown):
        await shared.call(b"EVALSHA", script._sha, 0)
    both = tuple(await asyncio.gather(*(script.run(shared, [], word) for word in (b"two", b"three"))))
    assert both == (b"two", b"three")


async def test_who_stands_in_line_when_it_is_closed_is_told(shared: SharedConnection, own_redis: Process) -> None:
    await shared.call(b"PING")
    own_redis.freeze()
    try:
        calls = [asyncio.ensure_future(shared.call(b"PING")) for _ in range(2 * MOST_UNANSWERED)]
        await asyncio.sleep(0)
        await shared.aclose()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(answer, CacheUnavailable) for answer in answers)
    finally:
        own_redis.thaw()


async def test_redis_py_makes_connections_as_we_take_them_for(url: str) -> None:
    """What we use of redis-py's inside: a connection has asyncio's streams, and nothing unread in them."""
    connection = new_pool(url, TIMEOUT_S, 1, NO_RETRY).make_connection()
    await connection.connect()
    try:
        assert isinstance(connection._reader, asyncio.StreamReader)
        assert isinstance(connection._writer, asyncio.StreamWriter)
        connection._writer.write(b"PING\r\n")
        assert await connection._reader.readline() == b"+PONG\r\n"
    finally:
        await connection.disconnect(nowait=True)


async def _kill(server: redis.asyncio.Redis, name: bytes) -> None:
    for client in await server.client_list():
        if client["name"] == name.decode():
            await server.client_kill_filter(_id=client["id"])


async def _is_noted(cut_off: CutOff) -> bool:
    return cut_off.was_within(60)


async def _answers(shared: SharedConnection) -> bool:
    try:
        return bool(await shared.call(b"PING") == b"PONG")
    except CacheUnavailable:
        return False


async def _seconds_until_unavailable(shared: SharedConnection) -> float:
    began = time.monotonic()
    with pytest.raises(CacheUnavailable):
        await shared.call(b"PING")
    return time.monotonic() - began
