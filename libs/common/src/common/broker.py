"""RabbitMQ: the one place that imports aio-pika. Its exceptions never leave this module.

A `Broker` keeps one connection that repairs itself. Publishing is persistent, mandatory and confirmed, or it
raises BrokerUnavailable within the timeout.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractIncomingMessage,
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustQueue,
)
from aio_pika.exceptions import (
    AMQPError,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from aiormq.exceptions import ChannelLockedResource
from yarl import URL

from common.errors import BrokerUnavailable
from common.lenient_amqp import tolerate_unreadable_properties
from common.lifecycle import CannotStart
from common.messages import HeaderValue, Message
from common.settings import BrokerSettings
from common.topology import Topology

log = structlog.get_logger()

tolerate_unreadable_properties()

#: Seconds. A connection that is silent for about three times this is given up; the default is three minutes.
HEARTBEAT_S = 10
RECONNECT_INTERVAL_S = 1

#: How many messages an inspection holds at a time.
MOST_IN_HAND = 10_000
# Seconds after which the absence of a delivery is looked into.
_SILENCE_S = 1
# How often it is looked whether returned messages are there again; somebody else may have taken them.
_LOOKS_BACK = 20

# ChannelInvalidStateError, which is what a publish on a lost connection raises, is no AMQPError.
_FAILURES = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


class Delivery:
    """A message that is ours until we settle it, once."""

    def __init__(self, incoming: AbstractIncomingMessage) -> None:
        self._incoming = incoming
        self.redelivered = bool(incoming.redelivered)
        self.message = Message(
            body=incoming.body,
            message_id=incoming.message_id,
            correlation_id=incoming.correlation_id,
            reply_to=incoming.reply_to,
            timestamp=incoming.timestamp.timestamp() if incoming.timestamp else None,
            headers=_plain(incoming.headers),
        )

    async def acknowledge(self) -> None:
        """Say that the message is dealt with. If the connection is lost the broker will deliver it again."""
        await self._settle(self._incoming.ack)

    async def give_back(self) -> None:
        """Let the broker deliver the message to somebody else."""
        await self._settle(self._incoming.nack)

    async def _settle(self, settle: Callable[[], Any]) -> None:
        try:
            with _translated():
                await settle()
        except BrokerUnavailable:
            log.warning("delivery_not_settled", job_id=self.message.message_id)


class Broker:
    """A connection to RabbitMQ on which our topology is declared each time it is made."""

    def __init__(self, settings: BrokerSettings, name: str) -> None:
        self.topology = Topology(settings.amqp_exchange, settings.amqp_queue, round(settings.retry_delay_s * 1000))
        self._timeout_s = settings.broker_timeout_s
        self._url = URL(settings.amqp_url.get_secret_value())
        self._name = name
        self._connection: AbstractRobustConnection | None = None
        self._publishing: AbstractRobustChannel | None = None
        self._counting: AbstractRobustChannel | None = None
        self._consumer: tuple[AbstractRobustQueue, str] | None = None

    async def connect(self) -> None:
        """Wait until the broker is there and knows our topology, for as long as it takes.

        Raises CannotStart if a queue or exchange is there already with other arguments than ours.
        """
        # Not connect_robust(): what it makes could not be closed, and would never end, before it has connected.
        self._connection = aio_pika.RobustConnection(
            _patient(self._url), client_properties={"connection_name": self._name}
        )
        await self._connection.connect(timeout=self._timeout_s)
        while True:
            try:
                async with self._deadline():
                    await self._declare(self._connection)
            except BrokerUnavailable:
                log.warning("broker_not_ready")
                await asyncio.sleep(RECONNECT_INTERVAL_S)
            else:
                log.info("broker_connected")
                return

    async def check(self) -> None:
        """Return if a publish can be tried at all; raises BrokerUnavailable."""
        if self._publishing is None or self._publishing.is_closed:
            raise BrokerUnavailable

    async def check_consuming(self) -> None:
        """Return if deliveries can come; raises BrokerUnavailable."""
        await self.check()
        if self._consumer is None or self._consumer[0].channel.is_closed:
            raise BrokerUnavailable

    async def publish_job(self, message: Message) -> None:
        """Put a job on the job queue, by way of the exchange; raises BrokerUnavailable unless confirmed."""
        await self._publish(message, self.topology.exchange, self.topology.queue, mandatory=True)

    async def publish_to(self, queue: str, message: Message, *, mandatory: bool = True) -> None:
        """Put a message on a queue by its name; raises BrokerUnavailable unless confirmed.

        Without `mandatory` a queue that does not exist is no error, and the message is dropped.
        """
        await self._publish(message, "", queue, mandatory=mandatory)

    async def consume(self, prefetch: int, handle: Callable[[Delivery], None]) -> None:
        """Give each delivery of the job queue to `handle`, at most `prefetch` of them unsettled at a time.

        `handle` must not block and must not raise; aio-pika cancels its own callbacks when a connection is
        lost, so what takes long belongs in a task of the caller's.
        """
        if self._connection is None:
            raise BrokerUnavailable

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            handle(Delivery(incoming))

        async with self._deadline():
            channel = await self._new_channel(self._connection)
            # Before consuming: a consumer that is there already would get everything at once.
            await channel.set_qos(prefetch_count=prefetch)
            queue = await channel.declare_queue(self.topology.queue, durable=True)
            self._consumer = (queue, await queue.consume(on_message))

    async def stop_consuming(self) -> None:
        """Take no more deliveries; those in hand can still be settled."""
        if self._consumer is None:
            return
        queue, tag = self._consumer
        self._consumer = None
        try:
            async with self._deadline():
                await queue.cancel(tag)
        except BrokerUnavailable:
            log.warning("consumer_not_cancelled")

    async def depth(self, queue: str) -> int:
        """How many messages are ready in a queue; raises BrokerUnavailable."""
        if self._counting is None:
            raise BrokerUnavailable
        async with self._deadline():
            # The robust channel would answer from its own memory.
            channel = await self._counting.get_underlay_channel()
            declared = await channel.queue_declare(queue, passive=True)
            return declared.message_count or 0

    async def aclose(self) -> None:
        """Close the connection; what is not settled goes back to the queue."""
        if self._connection is None:
            return
        try:
            async with self._deadline():
                await self._connection.close()
        except BrokerUnavailable:
            log.warning("broker_not_closed")

    async def _declare(self, connection: AbstractRobustConnection) -> None:
        self._counting = await self._new_channel(connection)
        channel = await self._new_channel(connection)
        try:
            exchange = await channel.declare_exchange(
                self.topology.exchange, aio_pika.ExchangeType.DIRECT, durable=True
            )
            for queue in self.topology.queues:
                declared = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
                if queue == self.topology.jobs:
                    await declared.bind(exchange, queue.name)
        except ChannelPreconditionFailed as error:
            raise CannotStart(
                f"the exchange {self.topology.exchange} or one of the queues {self.topology.queue}* exists "
                "with other arguments: delete it, or set AMQP_EXCHANGE and AMQP_QUEUE"
            ) from error
        self._publishing = channel

    async def _new_channel(self, connection: AbstractRobustConnection) -> AbstractRobustChannel:
        # Without on_return_raises an unroutable message would look like a confirmed one.
        channel = connection.channel(on_return_raises=True)
        await channel.initialize()
        return channel

    async def _publish(self, message: Message, exchange: str, routing_key: str, *, mandatory: bool) -> None:
        if self._publishing is None:
            raise BrokerUnavailable
        async with self._deadline():
            target = (
                await self._publishing.get_exchange(exchange, ensure=False)
                if exchange
                else self._publishing.default_exchange
            )
            await target.publish(_outgoing(message), routing_key, mandatory=mandatory)

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        async with _in_time(self._timeout_s):
            yield


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
        async with _in_time(self._timeout_s):
            left = await self.ready()
            await self._looking.set_qos(prefetch_count=MOST_IN_HAND)
            queue = await self._looking.get_queue(self._topology.dead.name, ensure=False)
            await queue.consume(self._arrive)
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
        async with _in_time(self._timeout_s):
            exchange = await self._other.get_exchange(self._topology.exchange, ensure=False)
            await exchange.publish(_outgoing(message), self._topology.queue, mandatory=True)

    async def ready(self) -> int:
        """How many messages lie in the queue and are in nobody's hands."""
        declared = await self._other.declare_queue(self._topology.dead.name, passive=True)
        return declared.declaration_result.message_count or 0

    async def give_back(self) -> None:
        """Return what was not taken out, and wait a little until the next one to look can see it."""
        async with _in_time(self._timeout_s):
            # Not by a nack of them all, after which a quorum queue has them in another order.
            await self._looking.close()
        returned = self._in_hand + self._arrived.qsize()
        async with _in_time(self._timeout_s):
            for _ in range(_LOOKS_BACK):
                if await self.ready() >= returned:
                    return
                await asyncio.sleep(0.05)

    async def _arrive(self, incoming: AbstractIncomingMessage) -> None:
        self._arrived.put_nowait(Delivery(incoming))

    async def _next(self) -> Delivery | None:
        """The next delivery; None if there is none left, since somebody else has taken it."""
        async with _in_time(self._timeout_s):
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
    async with _in_time(timeout_s):
        connection = await aio_pika.connect(url, client_properties={"connection_name": name})
    try:
        async with _in_time(timeout_s):
            looking, other = await connection.channel(), await connection.channel(on_return_raises=True)
            inspection = Inspection(looking, other, topology, timeout_s)
            await _lock(connection, topology.dead.name)
        yield inspection
        await inspection.give_back()
    finally:
        with suppress(BrokerUnavailable):
            async with _in_time(timeout_s):
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


@asynccontextmanager
async def _in_time(timeout_s: float) -> AsyncIterator[None]:
    """Turn every way in which the broker can fail us, silence among them, into BrokerUnavailable."""
    with _translated():
        async with asyncio.timeout(timeout_s):
            yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise BrokerUnavailable from error
    except asyncio.CancelledError as error:
        # aiormq cancels those who wait on a connection that it gives up: then nobody has cancelled us.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailable from error


def _patient(url: URL) -> URL:
    """The URL with what aio-pika takes from its query: connect again and again, also the first time."""
    patience = {"reconnect_interval": RECONNECT_INTERVAL_S, "fail_fast": 0}
    return url.update_query({"heartbeat": HEARTBEAT_S, **url.query, **patience})


def _outgoing(message: Message) -> aio_pika.Message:
    return aio_pika.Message(
        body=message.body,
        headers=dict(message.headers),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        timestamp=message.timestamp,
    )


def _plain(headers: Mapping[str, Any]) -> dict[str, HeaderValue]:
    """The headers that a publisher set; those of the broker's own book-keeping are tables."""
    return {name: value for name, value in headers.items() if isinstance(value, str | int | float | bool | None)}
