"""Clients' connections, on which a shortcut is offered each request before aiohttp's application gets it.

What is used of aiohttp's own is in docs/adr/0026-a-shortcut-for-most-requests.md; tests/unit/test_connections.py says
so if an upgrade changes it.
"""

from collections.abc import Coroutine
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
    """aiohttp's runner, whose connections know the shortcut."""

    def __init__(self, app: web.Application, shortcut: Shortcut, **options: Any) -> None:
        super().__init__(app, **options)
        self._shortcut = shortcut

    @property
    def server(self) -> Any:
        """What makes a connection, as a site asks for it."""
        server = self._server
        if server is None:
            return None
        return partial(Connection, self._shortcut, server, loop=server._loop, **server._kwargs)  # noqa: SLF001

    async def cleanup(self) -> None:
        """What has taken the shortcut is answered before connections are closed."""
        await self._shortcut.close()
        await super().cleanup()


class Connection(RequestHandler):
    """A connection. It has one request in hand at a time, as aiohttp's own has."""

    __slots__ = ("_held", "_in_hand", "_shortcut")

    def __init__(self, shortcut: Shortcut, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._shortcut = shortcut
        self._in_hand: Any = None
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """Let aiohttp parse it. If it waits for a request, offer it to the shortcut before that wakes."""
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

    def _takes_shortcut(self, message: Any, payload: StreamReader) -> bool:
        is_request = isinstance(message, RawRequestMessage)  # and not an error of the parser's
        answering = self._shortcut.take(message, payload) if is_request else None
        if answering is None:
            return False
        self._messages.clear()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._in_hand = self._loop.create_task(self._answer(answering))
        return True

    async def _answer(self, answering: Coroutine[Any, Any, bytes]) -> None:
        try:
            answer = await answering
        except Exception:
            log.exception("shortcut_broke")
            self.force_close()
            return
        finally:
            self._in_hand = None
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
        self._held += data
        if self.transport is not None:
            self.transport.pause_reading()
