"""A stand-in for the model API: chat completions as OpenAI speaks them, and the faults we have to survive.

In a test: `async with ModelStub() as stub:`, give `stub.base_url` to the worker, set `stub.respond` to one of
`stack.replies`, look at `stub.calls`. On its own: `python -m stack.model_stub --port 18106 --delay 2`.
"""

import argparse
import asyncio
import json
import math
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from aiohttp import web

from stack import replies
from stack.replies import Call, Reply, Respond

MAX_BODY = 64 * 1024 * 1024


class ModelStub:
    """Answers POST <any prefix>/v1/chat/completions, and remembers every call."""

    def __init__(
        self, respond: Respond | None = None, *, host: str = "127.0.0.1", port: int = 0, keep_calls: bool = True
    ) -> None:
        self.respond = respond or replies.echo()
        #: In the order of their arrival.
        self.calls: list[Call] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self.in_flight_by_key: Counter[str] = Counter()
        self.peak_in_flight_by_key: Counter[str] = Counter()
        self.base_url = ""
        self._host, self._port = host, port
        self._keep_calls = keep_calls
        self._changed = asyncio.Condition()
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/{prefix:.*}v1/chat/completions", self._complete)
        app.router.add_get("/{prefix:.*}v1/models", self._models)
        app.router.add_route("*", "/{rest:.*}", self._unknown)
        # With handler_cancellation a call that its client has given up is no longer in flight.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self.base_url = f"http://{self._host}:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def until(self, condition: Callable[[Self], bool], timeout: float = 10.0) -> None:
        """Wait for what calls bring about, as in `await stub.until(lambda s: s.in_flight == 3)`."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            call = _read_call(request, await request.json())
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            return _send_error(400, f"this is no chat completion request: {problem!r}")
        if self._keep_calls:
            self.calls.append(call)
        with self._counted(call):
            await self._notify()
            reply = await self.respond(call)
            await asyncio.sleep(reply.delay)
            streamed = await _stream(request, call, reply)
        await self._notify()
        return streamed or await _send(request, reply)

    @contextmanager
    def _counted(self, call: Call) -> Iterator[None]:
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        ours, peaks = self.in_flight_by_key, self.peak_in_flight_by_key
        ours[call.api_key] += 1
        peaks[call.api_key] = max(peaks[call.api_key], ours[call.api_key])
        try:
            yield
        finally:
            self.in_flight -= 1
            ours[call.api_key] -= 1

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "stub", "object": "model", "owned_by": "stack"}]})

    async def _unknown(self, request: web.Request) -> web.Response:
        return _send_error(404, f"Invalid URL ({request.method} {request.path})")


def _read_call(request: web.Request, body: object) -> Call:
    if not isinstance(body, dict):
        raise TypeError("the body is not an object")
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise TypeError("messages is not a list of objects")
    return Call(
        at=time.monotonic(),
        model=str(body["model"]),
        messages=tuple(messages),
        api_key=request.headers.get("Authorization", "").removeprefix("Bearer "),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )


async def _stream(request: web.Request, call: Call, reply: Reply) -> web.StreamResponse | None:
    """A completion in pieces, if the call asks for that."""
    whole = reply.body if isinstance(reply.body, dict) and reply.body.get("object") == "chat.completion" else None
    if whole is None or not call.body.get("stream") or reply.status != 200 or reply.reset_after == 0:
        return None
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **reply.headers})
    await response.prepare(request)
    left = math.inf if reply.reset_after is None else reply.reset_after
    with suppress(ConnectionError):  # whoever asked may have heard enough
        for event in replies.server_sent(whole):
            await response.write(event if left >= len(event) else event[: int(left)])
            left -= len(event)
            if left <= 0:
                _reset(request)
                break
            await asyncio.sleep(reply.pause)
    return response


async def _send(request: web.Request, reply: Reply) -> web.StreamResponse:
    headers = {"Content-Type": "application/json", **reply.headers}
    if reply.reset_after is None:
        return web.Response(status=reply.status, body=reply.payload, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.payload)
    if reply.reset_after > 0:
        await response.prepare(request)
        await response.write(reply.payload[: reply.reset_after])
    _reset(request)
    return response


def _reset(request: web.Request) -> None:
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    # Lingering for no time makes close() send RST instead of an orderly FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


def _send_error(status: int, message: str) -> web.Response:
    body = replies.error_body(message, kind="invalid_request_error")
    return web.json_response(body, status=status, dumps=lambda value: json.dumps(value, ensure_ascii=False))


async def serve(host: str, port: int, delay: float, pause: float) -> None:
    greeting = "I am the stub, not a model; with OPENAI_API_KEY set, a real one answers. You asked:\n"
    async with ModelStub(replies.echo(delay, greeting, pause), host=host, port=port, keep_calls=False) as stub:
        print(f"model stub on {stub.base_url}, answering after {delay:g} s", flush=True)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # as the first process of a container it must heed them itself
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stack.model_stub", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=2.0, help="seconds before each answer (default %(default)g)")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two pieces (default %(default)g)")
    options = parser.parse_args()
    asyncio.run(serve(options.host, options.port, options.delay, options.pause))


if __name__ == "__main__":
    main()
