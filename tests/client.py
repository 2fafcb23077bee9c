"""A client of each front door: HTTP as any program speaks it, and the broker as other applications use it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
from aiohttp import ClientSession
from multidict import CIMultiDictProxy
from yarl import URL

from tests.deployment import Place, Service


@dataclass(frozen=True)
class Answer:
    """What came back for a request."""

    status: int
    headers: CIMultiDictProxy[str]
    body: Any
    raw: bytes


async def ask(http: ClientSession, method: str, url: URL, **request: Any) -> Answer:
    """One request; the body is read as JSON if there is one."""
    async with http.request(method, url, **request) as response:
        raw = await response.read()
        return Answer(response.status, response.headers, json.loads(raw) if raw else None, raw)


class Client:
    """Submits to a gateway and reads from a result-reader."""

    def __init__(self, http: ClientSession, gateway: Service, reader: Service, key: str | None = None) -> None:
        self._http = http
        self._gateway = gateway
        self._reader = reader
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @property
    def gateway_url(self) -> URL:
        return self._gateway.url

    @property
    def reader_url(self) -> URL:
        return self._reader.url

    async def accepted(self) -> float:
        """How many jobs the gateway has accepted."""
        return await self._gateway.metric(self._http, "gpt_jobs_accepted_total")

    async def submit(self, **body: Any) -> dict[str, Any]:
        """The record of the accepted job."""
        answer = await self.post("/v1/jobs", body)
        assert answer.status == 202, answer.body
        record: dict[str, Any] = answer.body
        return record

    async def post(self, path: str, body: Any, key: str | None = None) -> Answer:
        """A submission, under an idempotency key if there is one."""
        headers = self._headers | ({"Idempotency-Key": key} if key is not None else {})
        return await ask(self._http, "POST", self._gateway.url.with_path(path), json=body, headers=headers)

    async def poll(self, job_id: str, wait: float = 0, etag: str = "") -> Answer:
        url = self._reader.url.with_path(f"/v1/results/{job_id}") % {"wait": wait}
        conditional = {"If-None-Match": etag} if etag else {}
        return await ask(self._http, "GET", url, headers=self._headers | conditional)

    async def cancel(self, job_id: str) -> Answer:
        url = self._gateway.url.with_path(f"/v1/jobs/{job_id}/cancel")
        return await ask(self._http, "POST", url, headers=self._headers)

    async def delete(self, job_id: str) -> Answer:
        url = self._gateway.url.with_path(f"/v1/jobs/{job_id}")
        return await ask(self._http, "DELETE", url, headers=self._headers)

    async def result(self, job_id: str) -> dict[str, Any]:
        """The job's terminal record."""
        async with asyncio.timeout(100):
            while True:
                answer = await self.poll(job_id, wait=20)
                assert answer.status == 200, answer.body
                if answer.body["status"] in {"completed", "failed", "cancelled"}:
                    record: dict[str, Any] = answer.body
                    return record

    async def query(self, job_id: object) -> Answer:
        """The original's poll."""
        return await ask(self._http, "POST", self._reader.url.with_path("/predict/query"), json={"reqId": job_id})


class Application:
    """Another application on the broker, with a plain client and without any knowledge of ours."""

    def __init__(self, place: Place, connection: aio_pika.abc.AbstractConnection) -> None:
        self._place = place
        self._connection = connection

    async def declare(self) -> None:
        """What the original's publishers do before they publish: no arguments on the queue."""
        async with self._connection.channel() as channel:
            exchange = await channel.declare_exchange(
                self._place.exchange, aio_pika.ExchangeType.DIRECT, durable=True
            )
            queue = await channel.declare_queue(self._place.queue, durable=True)
            await queue.bind(exchange, self._place.queue)

    async def declare_otherwise(self) -> None:
        """A job queue that is not the one we declare."""
        async with self._connection.channel() as channel:
            await channel.declare_queue(self._place.queue, durable=True, arguments={"x-max-length": 5})

    async def declare_full(self) -> None:
        """A job queue that takes no message."""
        async with self._connection.channel() as channel:
            exchange = await channel.get_exchange(self._place.exchange, ensure=False)
            limits: dict[str, Any] = {"x-max-length": 0, "x-overflow": "reject-publish"}
            queue = await channel.declare_queue(self._place.queue, durable=True, arguments=limits)
            await queue.bind(exchange, self._place.queue)

    async def delete_job_queue(self) -> None:
        await self.delete_queue("")

    async def delete_queue(self, suffix: str) -> None:
        """Delete one of the queues beside the job queue."""
        async with self._connection.channel() as channel:
            await channel.queue_delete(self._place.queue + suffix)

    async def purge_job_queue(self) -> None:
        async with self._connection.channel() as channel:
            queue = await channel.get_queue(self._place.queue)
            await queue.purge()

    @asynccontextmanager
    async def full_queue(self) -> AsyncIterator[str]:
        """A queue that refuses every message."""
        async with self._connection.channel() as channel:
            limits: dict[str, Any] = {"x-max-length": 0, "x-overflow": "reject-publish"}
            queue = await channel.declare_queue(exclusive=True, arguments=limits)
            yield queue.name

    async def publish(self, body: Any, **properties: Any) -> None:
        """Put a message on the exchange; a body that is not bytes goes as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        async with self._connection.channel() as channel:
            exchange = await channel.get_exchange(self._place.exchange, ensure=False)
            await exchange.publish(aio_pika.Message(raw, **properties), self._place.queue)

    async def depth(self, suffix: str = "") -> int:
        """How many messages are ready in the job queue, or in one of those beside it."""
        async with self._connection.channel() as channel:
            queue = await channel.declare_queue(self._place.queue + suffix, passive=True)
            return queue.declaration_result.message_count or 0

    async def next_in(self, suffix: str) -> aio_pika.abc.AbstractIncomingMessage:
        """Take the next message from one of the queues beside the job queue."""
        async with self._connection.channel() as channel:
            queue = await channel.get_queue(self._place.queue + suffix)
            async with asyncio.timeout(20):
                while True:
                    message = await queue.get(fail=False)
                    if message is not None:
                        await message.ack()
                        return message
                    await asyncio.sleep(0.02)

    async def answers_to(self, body: Any, count: int = 1, **properties: Any) -> list[Any]:
        """Publish with a `reply_to` of one's own, and return what is published there."""
        async with self._connection.channel() as channel:
            mine = await channel.declare_queue(exclusive=True)
            await self.publish(body, reply_to=mine.name, **properties)
            replies = []
            async with asyncio.timeout(20), mine.iterator() as incoming:
                async for message in incoming:
                    await message.ack()
                    replies.append(message)
                    if len(replies) == count:
                        break
            return replies
