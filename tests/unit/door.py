"""A route with a shortcut, served on a real port, and what a client needs to talk to it byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web

from common.errors import BrokerUnavailable, ErrorCode, ServiceError
from common.replies import Reply
from common.requests import Asked
from common.shortcut import Shortcut
from common.web import REQUEST_ID, application, json_body, serving
from stack.ports import free_port

JSON = "Content-Type: application/json"
TIMEOUT_S = 10


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


def told_at_least(door: Door, number: int) -> bool:
    return len(door.told) >= number
