"""A way past aiohttp's application for the requests that a service gets most, which otherwise is most of their cost.

Its server reads and parses them as ever (connections.py). What asks for anything unusual goes on to the
application, where the same code answers it. docs/adr/0026-a-shortcut-for-most-requests.md says what that gains.
"""

import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import hdrs
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from multidict import CIMultiDictProxy

from common import metrics
from common.replies import Reply, error_reply
from common.requests import MAX_BODY_BYTES, Asked, Tally, as_service_error, request_id

#: The rest of a path that means the same however a path is read.
_TAIL = re.compile(r"[A-Za-z0-9_:-]+")
_JSON = ("application/json", "application/json; charset=utf-8")

Handler = Callable[[Asked], Awaitable[Reply]]


class Shortcut:
    """The way of one route's requests: from where they have been parsed to the handler, and of the answers back."""

    def __init__(
        self, method: str, route: str, handler: Handler, log_one_in: int, *, varies_by_origin: bool = False
    ) -> None:
        """`route` is a path, or one that ends with `{id}`, the place for a tail.

        If its answers vary by origin each says so; a request that names one takes the long way in any case.
        """
        self._method, self._route = method, route
        self._path = route.removesuffix("{id}")
        self._has_tail = self._path != route
        self._handler = handler
        self._tally = Tally(log_one_in)
        self._more = f"{hdrs.VARY}: {hdrs.ORIGIN}\r\n" if varies_by_origin else ""
        self._count = metrics.SHORTCUTS.labels(route).inc

    def take(self, message: RawRequestMessage, payload: StreamReader) -> Coroutine[Any, Any, bytes] | None:
        """The way to the answer's bytes; None for a request that is to take the long way."""
        if message.method != self._method or not message.path.startswith(self._path):
            return None
        tail = message.path[len(self._path) :]
        if (_TAIL.fullmatch(tail) is None if self._has_tail else tail) or not _is_plain(message, payload):
            return None
        body = b"" if payload is EMPTY_PAYLOAD else _body(payload)
        if len(body) > MAX_BODY_BYTES:
            return None
        self._count()
        return self._answer(message.headers, tail, body)

    async def _answer(self, headers: CIMultiDictProxy[str], tail: str, body: bytes) -> bytes:
        """What the middleware of the long way does too (web.py)."""
        started, asked_id = time.perf_counter(), request_id(headers)
        structlog.contextvars.bind_contextvars(request_id=asked_id)
        try:
            reply = await self._handler(Asked(headers, asked_id, tail, body))
            answer = reply.encode(asked_id, self._more)
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer and the log the cause)
            reply = error_reply(as_service_error(error), asked_id)
            answer = reply.encode(asked_id, self._more)
        self._tally.note(self._route, self._method, reply.status, time.perf_counter() - started)
        return answer


def _is_plain(message: RawRequestMessage, payload: StreamReader) -> bool:
    """Whether all of the request is there, and an answer is all that it asks for."""
    if message.version != HttpVersion11 or message.should_close or message.upgrade or not payload.is_eof():
        return False
    headers = message.headers
    if hdrs.EXPECT in headers or hdrs.ORIGIN in headers or hdrs.IF_NONE_MATCH in headers or message.compression:
        return False
    if message.method == hdrs.METH_GET:
        return True
    return payload is not EMPTY_PAYLOAD and headers.get(hdrs.CONTENT_TYPE) in _JSON


def _body(payload: StreamReader) -> bytes:
    """All of the body, which stays where it is: to take it out is to begin to read the connection once more."""
    return b"".join(payload._buffer)  # noqa: SLF001 (see the decision)
