"""A real HTTP server that misbehaves as told: each request is answered by the next behaviour in line."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

JOB = "job_AGRAI4JD4QOZRQRZKALTJJGR5RALBGDE"


def record(status: str = "queued", **fields: Any) -> dict[str, Any]:
    """A record as the service has it."""
    times = {"created_at": 1795370853, "expires_at": 1795374456, "deadline_at": 1795374454}
    return {"id": JOB, "object": "job", "status": status, **times, "attempt": 1, "metadata": {}, **fields}


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: Any, status: int = 200, **headers: str) -> Behaviour:
    """JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def behave(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=named)

    return behave


def error(status: int, code: str, *, retryable: bool, param: str | None = None, **headers: str) -> Behaviour:
    """One of the service's errors."""
    said = {"code": code, "message": f"It is {code}.", "type": "some_error", "param": param}
    return answer({"error": {**said, "retryable": retryable, "request_id": "req_1"}}, status, **headers)


def page(status: int, text: str = "<h1>Bad Gateway</h1>") -> Behaviour:
    """What a proxy says in its own words."""

    async def behave(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type="text/html")

    return behave


async def hang_up(request: web.Request) -> web.StreamResponse:
    """No answer: the connection is cut."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silence(_: web.Request) -> web.StreamResponse:
    """No answer, for ever."""
    await asyncio.Event().wait()
    return web.Response()


def sent(*events: tuple[int, str, Any], piece: int = 1 << 20, then: Behaviour | None = None) -> Behaviour:
    """Server-sent events in pieces of so many bytes; then the end, unless it goes on otherwise."""
    text = ": ping\n\n" + "".join(
        f"id: {number}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
        for number, kind, data in events
    )

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        raw = text.encode()
        for start in range(0, len(raw), piece):
            await response.write(raw[start : start + piece])
            await asyncio.sleep(0)
        if then:
            await then(request)
        return response

    return behave


def paged(*events: tuple[int, str, Any], after: int) -> Behaviour:
    """The same as JSON."""
    data = [{"id": number, "event": kind, "data": data} for number, kind, data in events]
    return answer({"data": data, "after": after})


class Unruly:
    """Answers with `behaviours` in turn, and remembers what was asked."""

    def __init__(self) -> None:
        self.behaviours: list[Behaviour] = []
        self.asked: list[Asked] = []
        self.url = ""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def will(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so."""
        self.behaviours += behaviours

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.asked.append(
            Asked(request.method, request.path, request.query, request.headers, json.loads(raw) if raw else None)
        )
        return await self.behaviours.pop(0)(request)
