"""Answers of a public door: JSON all of them, errors in our one shape, for aiohttp or as the bytes that go out."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from common.errors import RETRY_AFTER_S, ServiceError

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_NONE: Mapping[str, str] = MappingProxyType({})


class Reply(NamedTuple):
    """An answer. Its body is JSON, its headers are those that an answer of this kind has beside the usual ones."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = _NONE

    def response(self) -> web.Response:
        """For aiohttp to send, and for a middleware to add to."""
        headers = {"Content-Type": "application/json", **self.headers}
        return web.Response(body=self.body, status=self.status, headers=headers)

    def encode(self, request_id: str, more: str = "") -> bytes:
        """What aiohttp would send, to a client of HTTP/1.1 that keeps its connection (RFC 9112, section 6).

        `more` are header lines that all answers of a kind have, each with its end.
        """
        said = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        if not said.count("\r") == said.count("\n") == len(self.headers):
            raise ValueError("a header holds the end of a line")
        head = (
            f"HTTP/1.1 {self.status} {_PHRASES[self.status]}\r\nContent-Type: application/json\r\n{said}"
            f"X-Request-Id: {request_id}\r\nContent-Length: {len(self.body)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\nServer: {SERVER_SOFTWARE}\r\n{more}\r\n"
        )
        return head.encode() + self.body


def error_reply(
    error: ServiceError,
    request_id: str | None,
    headers: Mapping[str, str] = _NONE,
    envelope: Mapping[str, Any] = _NONE,
) -> Reply:
    """The error as an answer; `envelope` is put around it for clients that expect another shape."""
    said = dict(headers)
    if error.http_status in (429, 503):
        said["Retry-After"] = str(error.retry_after_s or RETRY_AFTER_S)
    if error.http_status == 401:
        said["WWW-Authenticate"] = "Bearer"
    body = {**envelope, "error": error.body(request_id).model_dump()}
    return Reply(orjson.dumps(body), error.http_status, said)
