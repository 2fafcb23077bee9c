"""Looking at the dead letters, for an operator's commands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelLockedResource

from common.broker.wire import Delivery, in_time, properties
from common.errors import BrokerUnavailable
from common.lifecycle import CannotStart
from common.messages import Message
from common.settings import BrokerSettings
from common.topology import Topology

#: How many messages an inspection holds at a time.
MOST_IN_HAND = 10_000
# Seconds after which the absence of a delivery is looked into.
_SILENCE_S = 1
# How often it is looked whether returned messages are there again; somebody else may have taken them.
_LOOKS_BACK = 20


class Occupied(Exception):
    """Somebody else inspects the queue just now."""


class Inspection:
    """The messages of a queue in one pair of hands; what is not taken out goes back to its old place.

    Its connection does not repair itself, since what was in hand would come a second time.
    """

    def __init__(
        self, looking: AbstractChannel, other: AbstractChannel, topology: Topology, timeout_s: float
    ) -> None:
        self._looking = looking
        self._other = other
        self._topology = topology
        self._timeout_s = timeout_s
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        self._in_hand = 0

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """What lies in the queue now, in its order; ends early with MOST_IN_HAND that were not taken out."""
        async with in_time(self._timeout_s):
            left = await self.ready()
            channel = await self._looking.get_underlay_channel()
            await channel.basic_qos(prefetch_count=MOST_IN_HAND)
            await channel.basic_consume(self._topology.dead.name, self._arrive)
        while left > 0 and self._in_hand < MOST_IN_HAND:
            delivery = await self._next()
            if delivery is None:
                return
            left -= 1
            self._in_hand += 1
            yield delivery

    async def take_out(self, delivery: Delivery) -> None:
        """Remove the message from the queue; sure only when the inspection has ended well."""
        await delivery.acknowledge()
        self._in_hand -= 1

    async def publish_job(self, message: Message) -> None:
        """Put a job on the job queue, by way of the exchange; raises BrokerUnavailable unless confirmed."""
        async with in_time(self._timeout_s):
            channel = await self._other.get_underlay_channel()
            await channel.basic_publish(
                message.body,
                exchange=self._topology.exchange,
                routing_key=self._topology.queue,
                properties=properties(message),
                mandatory=True,
            )

    async def ready(self) -> int:
        """How many messages lie in the queue and are in nobody's hands."""
        declared = await self._other.declare_queue(self._topology.dead.name, passive=True)
        return declared.declaration_result.message_count or 0

    async def give_back(self) -> None:
        """Return what was not taken out, and wait a little until the next one to look can see it."""
        async with in_time(self._timeout_s):
            # Not by a nack of them all, after which a quorum queue has them in another order.
            await self._looking.close()
        returned = self._in_hand + self._arrived.qsize()
        async with in_time(self._timeout_s):
            for _ in range(_LOOKS_BACK):
                if await self.ready() >= returned:
                    return
                await asyncio.sleep(0.05)

    async def _arrive(self, delivered: DeliveredMessage) -> None:
        self._arrived.put_nowait(Delivery(delivered, self._timeout_s))

    async def _next(self) -> Delivery | None:
        """The next delivery; None if there is none left, since somebody else has taken it."""
        async with in_time(self._timeout_s):
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SILENCE_S):
                        return await self._arrived.get()
                if await self.ready() == 0:
                    return None


@asynccontextmanager
async def inspecting(settings: BrokerSettings, name: str) -> AsyncIterator[Inspection]:
    """Look at the dead letters; raises Occupied, CannotStart if there is no such queue, or BrokerUnavailable.

    One at a time, or each would see only what the other has not in hand. Declares nothing that lasts.
    """
    topology = Topology(settings.amqp_exchange, settings.amqp_queue)
    timeout_s, url = settings.broker_timeout_s, settings.amqp_url.get_secret_value()
    async with in_time(timeout_s):
        connection = await aio_pika.connect(url, client_properties={"connection_name": name})
    try:
        async with in_time(timeout_s):
            looking, other = await connection.channel(), await connection.channel(on_return_raises=True)
            inspection = Inspection(looking, other, topology, timeout_s)
            await _lock(connection, topology.dead.name)
        yield inspection
        await inspection.give_back()
    finally:
        with suppress(BrokerUnavailable):
            async with in_time(timeout_s):
                await connection.close()


async def _lock(connection: AbstractConnection, queue: str) -> None:
    """Keep others out for as long as the connection lasts. (Quorum queues do not heed exclusive consumers.)"""
    channel = await connection.channel()
    try:
        await channel.declare_queue(queue, passive=True)
        await channel.declare_queue(f"{queue}.inspected", exclusive=True, arguments={"x-queue-type": "classic"})
    except ChannelLockedResource as error:
        raise Occupied from error
    except ChannelNotFoundEntity as error:
        raise CannotStart(f"the broker has no queue {queue}") from error
