"""A timeout that tells a silent server from a busy process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.timeouts import Limits, answered_within

TIMEOUT_S = 0.1


async def test_silence_ends_with_an_error() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with answered_within(TIMEOUT_S):
            await asyncio.Event().wait()
    assert time.monotonic() - began >= TIMEOUT_S


async def test_an_answer_that_has_arrived_while_the_loop_was_busy_counts() -> None:
    async with _connected() as (ours, theirs), answered_within(TIMEOUT_S):
        theirs.write(b"answer\n")
        answer = asyncio.create_task(ours.readline())
        await asyncio.sleep(0)
        time.sleep(3 * TIMEOUT_S)  # noqa: ASYNC251 (a loop that is busy with something else)
        assert await answer == b"answer\n"


async def test_a_loop_that_is_always_busy_does_not_wait_for_ever() -> None:
    async def be_busy() -> None:
        while True:
            time.sleep(TIMEOUT_S)  # noqa: ASYNC251
            await asyncio.sleep(0)

    busy = asyncio.create_task(be_busy())
    try:
        with pytest.raises(TimeoutError):
            async with answered_within(TIMEOUT_S):
                await asyncio.Event().wait()
    finally:
        busy.cancel()


async def test_who_is_cancelled_is_cancelled() -> None:
    async def wait() -> None:
        async with answered_within(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class LateError(Exception):
    """The time was over."""


def limits() -> Limits:
    return Limits(asyncio.get_running_loop(), LateError)


def awaited() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


async def test_each_answer_has_its_own_time() -> None:
    """Also those that come after one with more of it."""
    several, began = limits(), time.monotonic()
    answers = {timeout_s: awaited() for timeout_s in (3 * TIMEOUT_S, TIMEOUT_S, 2 * TIMEOUT_S)}
    for timeout_s, answer in answers.items():
        several.add(answer, timeout_s)
    for timeout_s in sorted(answers):
        with pytest.raises(LateError):
            await answers[timeout_s]
        assert timeout_s - 0.01 <= time.monotonic() - began < timeout_s + TIMEOUT_S


async def test_who_is_answered_hears_no_more() -> None:
    several, answered, silent = limits(), awaited(), awaited()
    several.add(answered, TIMEOUT_S)
    answered.set_result("in time")
    several.add(silent, 2 * TIMEOUT_S)
    with pytest.raises(LateError):
        await silent
    assert await answered == "in time"


async def test_all_get_what_has_arrived_while_the_loop_was_busy() -> None:
    several, answer, silent = limits(), awaited(), awaited()
    several.add(silent, TIMEOUT_S)
    several.add(answer, TIMEOUT_S)
    async with _connected() as (ours, theirs):
        theirs.write(b"answer\n")
        reading = asyncio.create_task(ours.readline())
        reading.add_done_callback(lambda read: answer.set_result(read.result().decode()))
        await asyncio.sleep(0)
        time.sleep(3 * TIMEOUT_S)  # noqa: ASYNC251
        assert await answer == "answer\n"
    with pytest.raises(LateError):
        await silent


async def test_a_loop_that_is_always_busy_ends_them_too() -> None:
    async def be_busy() -> None:
        while True:
            time.sleep(TIMEOUT_S)  # noqa: ASYNC251
            await asyncio.sleep(0)

    busy, answer = asyncio.create_task(be_busy()), awaited()
    limits().add(answer, TIMEOUT_S)
    try:
        with pytest.raises(LateError):
            await answer
    finally:
        busy.cancel()


@asynccontextmanager
async def _connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """What is read at one end of a connection, and what is written at the other."""
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    async with await asyncio.start_server(lambda _, writer: accepted.put_nowait(writer), "127.0.0.1", 0) as server:
        ours, our_writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        theirs = await accepted.get()
        yield ours, theirs
        for writer in (theirs, our_writer):
            writer.close()
            await writer.wait_closed()
