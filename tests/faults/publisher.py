"""Another application that publishes straight to the broker, with a plain client, and lives on through its faults."""

import asyncio
import contextlib
import json
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange

from tests.deployment import Place

PATIENCE_S = 3.0
#: Everything that publishing can raise while the broker is away.
FAILURES = (aio_pika.exceptions.AMQPError, aio_pika.exceptions.ChannelInvalidStateError, OSError, TimeoutError)


class Publisher:
    """Publishes persistently, mandatory and confirmed, on a connection that is made anew when it is gone."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._one_at_a_time = asyncio.Lock()

    async def publish(self, body: Any, **properties: Any) -> bool:
        """Whether the broker has confirmed it; if not, it may have the message or not."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        properties = {"delivery_mode": aio_pika.DeliveryMode.PERSISTENT} | properties
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    exchange = self._exchange or await self._connect()
                    confirmed = await exchange.publish(aio_pika.Message(raw, **properties), self._place.queue)
                return bool(confirmed)
            except FAILURES:
                await self.aclose()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                await self.aclose()  # the driver cancels who waits on a connection that it gives up
        return False

    async def aclose(self) -> None:
        """Forget the connection, whatever its state."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(*FAILURES, asyncio.CancelledError):
                await asyncio.wait_for(connection.close(), 1)

    async def delete_job_queue(self) -> None:
        """What only an operator's mistake does."""
        connection = await aio_pika.connect(self._place.environment["AMQP_URL"], timeout=PATIENCE_S)
        async with connection, connection.channel() as channel:
            await channel.queue_delete(self._place.queue)

    async def _connect(self) -> AbstractExchange:
        self._connection = await aio_pika.connect(self._place.environment["AMQP_URL"], timeout=PATIENCE_S)
        channel = await self._connection.channel(on_return_raises=True)
        self._exchange = await channel.get_exchange(self._place.exchange, ensure=False)
        return self._exchange
