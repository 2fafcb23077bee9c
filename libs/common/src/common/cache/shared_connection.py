"""One connection for everybody: the commands of one turn of the event loop go out in one write.

Redis answers a connection's commands in their order, so an answer needs nothing but its place to be told whose it
is. docs/adr/0015-commands-of-a-tick-in-one-write.md says what that gains.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import Any

import hiredis
import structlog
from redis.exceptions import RedisError

from common.breaker import Away, Breaker
from common.cache.commands import Part, ScriptUnknown
from common.cache.connecting import NO_RETRY, READ_BYTES, SLOW_BYTES_PER_S, UNFINISHED, CutOff, new_pool, pack
from common.errors import CacheUnavailable
from common.timeouts import AT_MOST, LATE_S

log = structlog.get_logger()

#: Commands, and bytes of them, that may be unanswered at a time; what is more stands in line.
MOST_UNANSWERED = 1_000
MOST_BYTES = 8_000_000
#: Times that a command is written: again if the connection was lost, as all that we send may be done twice.
MOST_WRITES = 2


class _Command:
    """A command on its way. The time for its answer begins when it is first written; to stand in line is no part."""

    __slots__ = ("answer", "due", "is_try", "packed", "writes", "written_at")

    def __init__(self, packed: bytes, answer: asyncio.Future[Any], *, is_try: bool) -> None:
        self.packed = packed
        self.answer = answer
        self.is_try = is_try
        self.writes = 0
        self.written_at = time.monotonic()  # or made, until it is
        self.due = 0.0


class SharedConnection:
    """Keeps one connection while it is of use, and makes the next one when a command needs it."""

    def __init__(self, url: str, timeout_s: float, breaker: Breaker, cut_off: CutOff) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = new_pool(url, timeout_s, 1, NO_RETRY)
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._cut_off = cut_off
        self._in_line: deque[_Command] = deque()
        self._written: deque[_Command] = deque()
        self._unanswered_bytes = 0
        self._answered_at = 0.0
        self._writing_is_due = False
        self._clock: asyncio.TimerHandle | None = None
        self._connection: Any = None
        self._life: asyncio.Task[None] | None = None

    def call(self, *parts: Part, always: bool = False) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = self._loop.create_future()
        try:
            is_try = self._breaker.admit(always=always)
        except Away as error:
            answer.set_exception(_unavailable(error))
            return answer
        self._in_line.append(_Command(pack(parts), answer, is_try=is_try))
        if not self._writing_is_due:
            self._writing_is_due = True
            self._loop.call_soon(self._write)
        return answer

    async def aclose(self) -> None:
        if self._life is not None:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
        self._fail_all(ConnectionError("closed"))

    def _write(self) -> None:
        """Write what stands in line, as far as it may be; without a connection, make one first."""
        self._writing_is_due = False
        if self._connection is None:
            if self._life is None:
                self._life = asyncio.create_task(self._live())
            return
        now = time.monotonic()
        batch: list[bytes] = []
        while self._in_line and len(self._written) < MOST_UNANSWERED and self._unanswered_bytes < MOST_BYTES:
            command = self._in_line.popleft()
            if command.answer.done():  # nobody waits any more
                self._end_of_try(command)
                continue
            self._unanswered_bytes += len(command.packed)
            command.writes += 1
            if command.writes == 1:
                command.written_at = now
                command.due = now + self._timeout_s + self._unanswered_bytes / SLOW_BYTES_PER_S
            self._written.append(command)
            batch.append(command.packed)
        if batch:
            self._connection._writer.write(b"".join(batch))  # noqa: SLF001 (see the decision)
            self._wind_clock()

    async def _live(self) -> None:
        """The life of one connection: made, read from until it breaks."""
        connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
            self._connection = connection
            self._write()
            await self._read(connection._reader)  # noqa: SLF001 (see the decision)
        except (RedisError, OSError, TimeoutError) as error:
            self._end(error, was_there=self._connection is connection)
        except Exception as error:
            log.exception("connection_broke", server="cache")
            self._end(error, was_there=False)
        finally:
            if self._connection is connection:
                self._connection = None
            await connection.disconnect(nowait=True)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        replies = hiredis.Reader(notEnoughData=UNFINISHED)
        while data := await stream.read(READ_BYTES):
            replies.feed(data)
            told = 0
            while (reply := replies.gets()) is not UNFINISHED:
                self._tell(self._written.popleft(), reply)
                told += 1
            if told:
                self._breaker.answered()
            self._answered_at = time.monotonic()
            if self._in_line:
                self._write()
        raise ConnectionError("the server closed the connection")

    def _tell(self, command: _Command, reply: Any) -> None:
        self._unanswered_bytes -= len(command.packed)
        self._end_of_try(command)
        if isinstance(reply, hiredis.ReplyError):
            self._tell_error(command, reply)
        elif not command.answer.done():
            command.answer.set_result(reply)

    def _tell_error(self, command: _Command, error: Exception) -> None:
        kind = str(error).partition(" ")[0]
        if kind in ("LOADING", "READONLY", "MASTERDOWN"):
            # A server that is not, or no longer, the one to talk to; the next connection may lead to another.
            self._written.appendleft(command)
            raise ConnectionError(kind)
        _fail(command, ScriptUnknown() if kind == "NOSCRIPT" else _unavailable(error))

    def _end(self, error: Exception, *, was_there: bool) -> None:
        """Without a connection: what was on a living one is written to the next, once, and all else fails."""
        self._cut_off.note()
        self._connection = self._life = None
        lost, self._written = self._written, deque()
        self._unanswered_bytes = 0
        again = []
        for command in lost:
            if was_there and command.writes < MOST_WRITES and not command.answer.done():
                again.append(command)
            else:
                self._lose(command, error)
        if not was_there:
            self._fail_all(error)
        self._in_line.extendleft(reversed(again))
        if self._in_line:
            self._write()

    def _fail_all(self, error: Exception) -> None:
        for commands in (self._written, self._in_line):
            while commands:
                self._lose(commands.popleft(), error)

    def _lose(self, command: _Command, error: Exception) -> None:
        self._end_of_try(command)
        if not command.answer.done():
            self._breaker.lost(command.written_at)
            _fail(command, _unavailable(error))

    def _end_of_try(self, command: _Command) -> None:
        if command.is_try:
            command.is_try = False
            self._breaker.end_try()

    def _wind_clock(self) -> None:
        """One clock does for all: it rings when the first of those who still wait is due."""
        if self._clock is None:
            waiting = next((command for command in self._written if not command.answer.done()), None)
            if waiting is not None:
                self._set_clock(waiting.due)

    def _set_clock(self, due: float) -> None:
        self._clock = self._loop.call_later(due - time.monotonic(), self._ring, due)

    def _ring(self, due: float) -> None:
        """Fail those whose time is over; but an event loop that was busy reads first what has arrived."""
        self._clock = None
        if not self._written:
            return
        now, oldest = time.monotonic(), self._written[0]
        if now - due > LATE_S and now - oldest.written_at < AT_MOST * self._timeout_s:
            self._set_clock(now + LATE_S)
            return
        for command in self._written:
            if command.due <= now:
                self._lose(command, TimeoutError())
        if self._is_stuck(oldest, now):
            life = self._life
            self._end(TimeoutError(), was_there=False)
            if life is not None:
                life.cancel()
            return
        self._wind_clock()

    def _is_stuck(self, oldest: _Command, now: float) -> bool:
        """Whether nothing comes over the connection any more, as far as those who still wait give it time."""
        if self._answered_at > oldest.written_at:
            return False
        return now - oldest.written_at > AT_MOST * self._timeout_s or all(c.answer.done() for c in self._written)


def _fail(command: _Command, error: Exception) -> None:
    if not command.answer.done():
        command.answer.set_exception(error)


def _unavailable(error: Exception) -> CacheUnavailable:
    unavailable = CacheUnavailable()
    unavailable.__cause__ = error
    return unavailable
