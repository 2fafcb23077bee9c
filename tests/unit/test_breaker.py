"""A server counts as away once calls were in vain, and nobody waits for it but one at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from common import breaker
from common.breaker import FAILURES, Away, Breaker
from tests.waiting import eventually

CALLERS = 1000


class Server:
    """What calls reach: it counts them, and answers, is lost, or hangs until the test says so."""

    def __init__(self) -> None:
        self.breaker = Breaker("a-server", (TimeoutError,))
        self.calls = 0

    async def answer(self) -> None:
        with self.breaker.watching():
            self.calls += 1

    async def lose(self) -> None:
        with suppress(TimeoutError), self.breaker.watching():
            self.calls += 1
            raise TimeoutError

    async def refuse(self) -> None:
        with suppress(ValueError), self.breaker.watching():
            self.calls += 1
            raise ValueError

    async def hang(self, gate: asyncio.Event, then: type[Exception] | None = None) -> None:
        with self.breaker.watching():
            self.calls += 1
            await gate.wait()
            if then:
                raise then

    async def is_away(self) -> bool:
        with suppress(Away):
            await self.answer()
            return False
        return True


@pytest.fixture
def server() -> Server:
    return Server()


async def times(count: int, call: Callable[[], Awaitable[None]]) -> None:
    for _ in range(count):
        await call()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "PAUSE_S", 0.0)


async def test_calls_that_are_lost_in_a_row_make_it_away(server: Server) -> None:
    await times(FAILURES - 1, server.lose)
    await server.answer()
    await times(FAILURES, server.lose)
    made = server.calls
    for _ in range(CALLERS):
        with pytest.raises(Away):
            await server.answer()
    assert server.calls == made


async def test_an_error_is_an_answer(server: Server) -> None:
    await times(FAILURES - 1, server.lose)
    await server.refuse()
    await times(FAILURES - 1, server.lose)
    assert not await server.is_away()


async def test_calls_that_are_lost_while_others_are_answered_count_for_nothing(server: Server) -> None:
    gate = asyncio.Event()
    slow = [asyncio.create_task(server.hang(gate, TimeoutError)) for _ in range(CALLERS)]
    await eventually(lambda: server.calls == CALLERS)
    await server.answer()
    gate.set()
    results = await asyncio.gather(*slow, return_exceptions=True)
    assert {type(result) for result in results} == {TimeoutError}
    assert not await server.is_away()


@pytest.mark.usefixtures("no_pause")
async def test_only_one_at_a_time_tries_an_absent_server(server: Server) -> None:
    await times(FAILURES, server.lose)
    made, gate = server.calls, asyncio.Event()
    callers = [asyncio.create_task(server.hang(gate, TimeoutError)) for _ in range(CALLERS)]
    await eventually(lambda: sum(caller.done() for caller in callers) == CALLERS - 1)
    assert server.calls == made + 1
    gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Away"] * (CALLERS - 1) + ["TimeoutError"]


async def test_the_next_try_comes_after_a_pause(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "PAUSE_S", 0.05)
    await times(FAILURES, server.lose)
    assert await server.is_away()
    await eventually(lambda: _made(server, FAILURES + 1))
    assert await server.is_away()


async def _made(server: Server, count: int) -> bool:
    with suppress(Away):
        await server.lose()
    return server.calls == count


@pytest.mark.usefixtures("no_pause")
async def test_a_try_that_is_answered_ends_it(server: Server) -> None:
    await times(FAILURES, server.lose)
    await times(CALLERS, server.answer)
    assert server.calls == FAILURES + CALLERS


@pytest.mark.usefixtures("no_pause")
async def test_a_try_that_is_cancelled_leaves_the_next_to_another(server: Server) -> None:
    await times(FAILURES, server.lose)
    trying = asyncio.create_task(server.hang(asyncio.Event()))
    await eventually(lambda: server.calls == FAILURES + 1)
    assert await server.is_away()
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert not await server.is_away()


async def test_a_call_from_before_that_is_answered_late_ends_it(server: Server) -> None:
    gate = asyncio.Event()
    late = asyncio.create_task(server.hang(gate))
    await eventually(lambda: server.calls == 1)
    await times(FAILURES, server.lose)
    assert await server.is_away()
    gate.set()
    await late
    assert not await server.is_away()


async def test_a_call_that_is_always_made_is_made_and_can_end_it(server: Server) -> None:
    await times(FAILURES, server.lose)
    with server.breaker.watching(always=True):
        pass
    assert not await server.is_away()
