"""What the broker's tests share: how a client is made, a publisher that is not ours, and a consumer's basket."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from common.broker import Broker, Delivery
from common.errors import BrokerUnavailable
from common.messages import Message
from stack import servers
from stack.process import Process
from tests.waiting import eventually

#: For tests that publish: both ways to do it keep the same contract.
BOTH_WAYS = pytest.mark.parametrize("batching", [True, False], ids=["batching", "plain"])


class NewBroker(Protocol):
    """Makes a client of the broker that is not connected yet."""

    def __call__(self, url: str | None = None, timeout_s: float = 5) -> Awaitable[Broker]: ...


class Publisher:
    """Another application with another library: Python's pika, which blocks."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._connection.close()

    def channel(self) -> BlockingChannel:
        return self._connection.channel()

    def publish(self, exchange: str, queue: str, body: bytes, **properties: Any) -> None:
        channel = self.channel()
        channel.confirm_delivery()
        channel.basic_publish(exchange, queue, body, pika.BasicProperties(**properties), mandatory=True)

    def take(self, queue: str) -> tuple[pika.BasicProperties, bytes]:
        """The next message of a queue, which must be there."""
        method, properties, body = self.channel().basic_get(queue, auto_ack=True)
        assert method is not None, f"{queue} is empty"
        return properties, body


class Basket:
    """The deliveries of one consumer."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    def put(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self._arrived.put_nowait(delivery)

    async def next(self, timeout_s: float = 10) -> Delivery:
        async with asyncio.timeout(timeout_s):
            return await self._arrived.get()


async def consuming(broker: Broker, prefetch: int = 10) -> Basket:
    basket = Basket()
    await broker.consume(prefetch, basket.put)
    return basket


async def unavailable_in_time(awaited: Awaitable[object], timeout_s: float) -> None:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await awaited
    assert time.monotonic() - began < timeout_s + 1


async def eventually_published(broker: Broker, body: bytes = b"after") -> None:
    async def published() -> bool:
        try:
            await broker.publish_job(Message(body))
        except BrokerUnavailable:
            return False
        return True

    await eventually(published, 30)


async def rabbitmqctl(rabbitmq: Process, *arguments: str) -> None:
    """Run it to its end."""
    environment = {**os.environ, **rabbitmq.program.environment}
    process = await asyncio.create_subprocess_exec(
        *servers.rabbitmqctl(*arguments), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 0


@asynccontextmanager
async def alarm(rabbitmq: Process) -> AsyncIterator[None]:
    """Too little memory for the broker, for as long as the block runs."""
    await rabbitmqctl(rabbitmq, "set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        yield
    finally:
        await rabbitmqctl(rabbitmq, "set_vm_memory_high_watermark", "0.4")
