"""Clients' connections, on which shortcuts are offered each request before aiohttp's application gets it.

What is used of aiohttp's own is in docs/adr/0026-a-shortcut-for-most-requests.md, and if an upgrade changes it,
tests/unit/test_connections.py fails.
"""

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from common.shortcut import Shortcut

log = structlog.get_logger()


class Runner(web.AppRunner):
    """aiohttp's runner, whose connections know the shortcuts; without any, they are aiohttp's own."""

    def __init__(self, app: web.Application, shortcuts: Sequence[Shortcut], **options: Any) -> None:
        super().__init__(app, **options)
        self._shortcuts = tuple(shortcuts)

    @property
    def server(self) -> Any:
        """What makes a connection, as a site asks for it."""
        server = self._server
        if server is None or not self._shortcuts:
            return server
        return partial(Connection, self._shortcuts, server, loop=server._loop, **server._kwargs)  # noqa: SLF001


class Connection(RequestHandler):
    """A connection. It has one request in hand at a time, as aiohttp's own has."""

    __slots__ = ("_context", "_held", "_in_hand", "_shortcuts")

    def __init__(self, shortcuts: tuple[Shortcut, ...], server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._shortcuts = shortcuts
        # Each request has one of its own, and nothing of what was bound for those before it.
        self._context = contextvars.copy_context()
        self._in_hand: asyncio.Task[None] | None = None
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """Let aiohttp parse it. If it waits for a request, offer it to the shortcuts before that wakes."""
        if self._in_hand is not None:
            self._hold(data)
            return
        waiter = self._waiter
        if waiter is None or waiter.done() or self.writing_paused:
            super().data_received(data)
            return
        self._waiter = None
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if self._messages and not (len(self._messages) == 1 and self._takes_shortcut(*self._messages[0])):
            waiter.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The request in hand goes on; the server keeps this connection in mind until it has ended."""
        if self._in_hand is not None:
            self._task_handler = self._in_hand
        super().connection_lost(exc)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Close, once the request in hand is answered or `timeout` seconds are over."""
        if (in_hand := self._in_hand) is not None:
            await asyncio.wait([in_hand], timeout=timeout)
            in_hand.cancel()
        await super().shutdown(timeout)

    def _takes_shortcut(self, message: Any, payload: StreamReader) -> bool:
        if not isinstance(message, RawRequestMessage):
            return False  # an error of the parser's
        for shortcut in self._shortcuts:
            answering = shortcut.take(message, payload)
            if answering is not None:
                self._messages.clear()
                self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                self._in_hand = self._loop.create_task(self._answer(answering), context=self._context.copy())
                return True
        return False

    async def _answer(self, answering: Coroutine[Any, Any, bytes]) -> None:
        """Whatever comes of it, the connection either has its answer or is closed."""
        try:
            answer = await answering
            self._in_hand = None
            self._send(answer)
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception:
            log.exception("connection_broke")
            self.force_close()

    def _send(self, answer: bytes) -> None:
        if self.transport is None or self._parser is None:
            return  # the client has gone
        self.transport.write(answer)
        self._parser.message_consumed()
        if self._held:
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self.data_received(held)

    def _hold(self, data: bytes) -> None:
        """What a client sends before it has its answer: its turn comes afterwards, and no more is read till then."""
        self._held += data  # b"" is how aiohttp asks to go on
        if self._held and self.transport is not None:
            self.transport.pause_reading()
