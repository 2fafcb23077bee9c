"""What a submission costs at the least: recorded and confirmed as ours is, over the barest connections.

No submission is checked, and nothing is timed, counted, logged or repaired: an error of a server ends it. What is
left is HTTP and the servers' work.
"""

import asyncio
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
import orjson
import uvloop
from aiohttp import web
from pamqp import commands, frame
from yarl import URL

from common.cache.connecting import pack
from common.cache.scripts import MARK
from common.connections import Runner
from common.jobs import queued_json
from common.replies import Reply
from common.requests import Asked
from common.shortcut import Shortcut

PATH, DEADLINE_S, CHANNEL = "/v1/jobs", 600, 1


class _Connection(asyncio.Protocol):
    """What is asked in one turn of the event loop goes out in one write; answers come in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._line: list[bytes] = []
        self.asked: deque[asyncio.Future[Any]] = deque()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        raise SystemExit(f"a server has gone: {exc}")

    def ask(self, request: bytes) -> asyncio.Future[Any]:
        if not self._line:
            self._loop.call_soon(self._write)
        self._line.append(request)
        answer = self._loop.create_future()
        self.asked.append(answer)
        return answer

    def _write(self) -> None:
        self.transport.write(b"".join(self._line))
        self._line.clear()


class Redis(_Connection):
    def __init__(self) -> None:
        super().__init__()
        self._replies = hiredis.Reader()

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not False:
            if isinstance(reply, Exception):
                raise SystemExit(f"Redis: {reply}")
            self.asked.popleft().set_result(reply)


class Amqp(_Connection):
    """An answer to each method of the handshake, and later one to each message."""

    def __init__(self) -> None:
        super().__init__()
        self._data = b""
        self._confirms = False
        self._confirmed = 0

    async def open(self, url: URL, exchange: str, queue: str) -> None:
        start = commands.Connection.StartOk(
            mechanism="PLAIN",
            response=f"\0{url.user}\0{url.password}",
            client_properties={"capabilities": {"publisher_confirms": True}},
            locale="en_US",
        )
        await self.ask(b"AMQP\x00\x00\x09\x01")
        tuned = await self.ask(frame.marshal(start, 0))
        tune = commands.Connection.TuneOk(channel_max=tuned.channel_max, frame_max=tuned.frame_max, heartbeat=0)
        opened = commands.Connection.Open(virtual_host=url.path[1:] or "/")
        await self.ask(frame.marshal(tune, 0) + frame.marshal(opened, 0))
        for method in (
            commands.Channel.Open(),
            commands.Exchange.Declare(exchange=exchange, exchange_type="direct", durable=True),
            commands.Queue.Declare(queue=queue, durable=True),
            commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=queue),
            commands.Confirm.Select(),
        ):
            await self.ask(frame.marshal(method, CHANNEL))
        self._confirms = True

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= 8 and len(self._data) >= 8 + int.from_bytes(self._data[3:7]):
            size, _, method = frame.unmarshal(self._data)
            self._data = self._data[size:]
            if not self._confirms:
                self.asked.popleft().set_result(method)
            elif isinstance(method, commands.Basic.Ack):
                self._confirm(method.delivery_tag or 0)
            else:
                raise SystemExit(f"RabbitMQ: {method}")

    def _confirm(self, tag: int) -> None:
        """The broker confirms one queue's messages in their order."""
        while self._confirmed < tag:
            self._confirmed += 1
            self.asked.popleft().set_result(None)


def publishing(exchange: str, queue: str) -> Callable[[str, bytes], bytes]:
    """Makes the frames of a persistent message."""
    method = commands.Basic.Publish(exchange=exchange, routing_key=queue, mandatory=True)
    said = frame.marshal(method, CHANNEL)

    def framed(kind: int, payload: bytes) -> bytes:
        return b"%c%b%b%b\xce" % (kind, CHANNEL.to_bytes(2), len(payload).to_bytes(4), payload)

    def frames(job_id: str, body: bytes) -> bytes:
        # Class 60, weight 0; content type, delivery mode and message id are there (AMQP 0-9-1, 4.2.6).
        properties = b"\x10application/json\x02%c%b" % (len(job_id), job_id.encode())
        header = b"\x00\x3c\x00\x00%b\x90\x80%b" % (len(body).to_bytes(8), properties)
        return said + framed(2, header) + framed(3, body)

    return frames


async def serve() -> None:
    loop, prefix = asyncio.get_running_loop(), os.environ["REDIS_PREFIX"]
    exchange, queue = os.environ["AMQP_EXCHANGE"], os.environ["AMQP_QUEUE"]
    redis_url, amqp_url = URL(os.environ["REDIS_URL"]), URL(os.environ["AMQP_URL"])
    _, redis = await loop.create_connection(Redis, redis_url.host or "", redis_url.port or 0)
    _, broker = await loop.create_connection(Amqp, amqp_url.host or "", amqp_url.port or 0)
    await broker.open(amqp_url, exchange, queue)
    script = await redis.ask(pack((b"SCRIPT", b"LOAD", MARK.text)))
    frames = publishing(exchange, queue)

    async def submit(asked: Asked) -> Reply:
        now, job_id = time.time(), f"job_{secrets.token_hex(16).upper()}"
        record = queued_json(job_id, now, int(now) + DEADLINE_S, {})
        message = orjson.dumps({"id": job_id, "messages": [{"role": "user", "content": asked.body.decode()}]})
        keys = (f"{prefix}job:{job_id}", f"{prefix}waiting", f"{prefix}places")
        arguments = (job_id, record, DEADLINE_S * 1000, message, int(now * 1000))
        await redis.ask(pack((b"EVALSHA", script, len(keys), *keys, *arguments)))
        await broker.ask(frames(job_id, message))
        return Reply(record, 202, {"Location": f"/v1/results/{job_id}"})

    async def submit_in_parts(request: web.Request) -> web.Response:
        return (await submit(Asked(request.headers, "", body=await request.read()))).response()

    app = web.Application()
    app.router.add_post(PATH, submit_in_parts)
    runner = Runner(app, [Shortcut("POST", PATH, submit, log_one_in=0)], access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["HTTP_PORT"]), backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
