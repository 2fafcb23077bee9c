"""A connection to RabbitMQ that repairs itself, for services that publish and consume."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aio_pika
import structlog
from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustQueue,
)
from aio_pika.exceptions import ChannelPreconditionFailed
from yarl import URL

from common.broker.wire import Delivery, in_time, outgoing
from common.errors import BrokerUnavailable, Unroutable
from common.lifecycle import CannotStart
from common.messages import Message
from common.settings import BrokerSettings
from common.topology import Queue, Topology, wait_tier_ms

log = structlog.get_logger()

#: Seconds. A connection that is silent for about three times this is given up; the default is three minutes.
HEARTBEAT_S = 10
RECONNECT_INTERVAL_S = 1


class Broker:
    """A connection to RabbitMQ on which our topology is declared each time it is made."""

    def __init__(self, settings: BrokerSettings, name: str) -> None:
        self.topology = Topology(settings.amqp_exchange, settings.amqp_queue)
        self._timeout_s = settings.broker_timeout_s
        self._url = URL(settings.amqp_url.get_secret_value())
        self._name = name
        self._connection: AbstractRobustConnection | None = None
        self._publishing: AbstractRobustChannel | None = None
        self._counting: AbstractRobustChannel | None = None
        self._consumer: tuple[AbstractRobustQueue, str] | None = None
        self._tiers_ms: set[int] = set()

    @property
    def queues(self) -> tuple[Queue, ...]:
        """The queues that this process has to do with."""
        return (*self.topology.queues, *(self.topology.wait(tier_ms) for tier_ms in sorted(self._tiers_ms)))

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

    async def declare(self) -> None:
        """Make what is gone of our topology; raises BrokerUnavailable."""
        await self._declare_again(*self.topology.queues)

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
        async with self._deadline():
            try:
                await self._publish(message, self.topology.exchange, self.topology.queue)
            except Unroutable:
                log.warning("job_queue_was_gone")
                await self.declare()
                await self._publish(message, self.topology.exchange, self.topology.queue)

    async def publish_later(self, message: Message, delay_s: float) -> None:
        """Put a job on the job queue once the delay is over; raises BrokerUnavailable unless confirmed.

        It comes never earlier than that, and later by at most its tier, if others wait before it there. A
        delay beyond the largest tier is cut to that. A tier is declared when somebody first needs it.
        """
        tier_ms = wait_tier_ms(delay_s)
        queue, expiration_s = self.topology.wait(tier_ms), max(0, min(delay_s, tier_ms / 1000))
        try:
            await self._publish(message, "", queue.name, expiration_s=expiration_s)
        except Unroutable:
            await self._declare_again(queue)
            await self._publish(message, "", queue.name, expiration_s=expiration_s)
        self._tiers_ms.add(tier_ms)

    async def publish_to(self, queue: str, message: Message, *, mandatory: bool = True) -> None:
        """Put a message on a queue by its name; raises BrokerUnavailable unless confirmed.

        That is PublishRefused if the queue is full. Without `mandatory` a queue that does not exist is no
        error, and the message is dropped.
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

        async with self._deadline(), _new_channel(self._connection) as channel:
            # Before consuming: a consumer that is there already would get everything at once.
            await channel.set_qos(prefetch_count=prefetch)
            queue = await channel.declare_queue(self.topology.queue, durable=True)
            # A queue that was deleted is restored with the bindings made on this channel, and no others.
            await queue.bind(self.topology.exchange, self.topology.queue)
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
        async with _new_channel(connection) as counting, _new_channel(connection) as publishing:
            await self._declare_on(publishing, *self.topology.queues)
        self._counting, self._publishing = counting, publishing

    async def _declare_again(self, *queues: Queue) -> None:
        if self._publishing is None:
            raise BrokerUnavailable
        try:
            async with self._deadline():
                await self._declare_on(self._publishing, *queues)
        except CannotStart as error:
            # Somebody has made another queue of that name while we run; whoever submits hears 503.
            log.warning("broker_misconfigured", reason=str(error))
            raise BrokerUnavailable from error

    async def _declare_on(self, channel: AbstractRobustChannel, *queues: Queue) -> None:
        try:
            exchange = await channel.declare_exchange(
                self.topology.exchange, aio_pika.ExchangeType.DIRECT, durable=True
            )
            for queue in queues:
                declared = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
                if queue == self.topology.jobs:
                    await declared.bind(exchange, queue.name)
        except ChannelPreconditionFailed as error:
            raise CannotStart(
                f"the exchange {self.topology.exchange} or one of the queues {self.topology.queue}* exists "
                "with other arguments: delete it, or set AMQP_EXCHANGE and AMQP_QUEUE"
            ) from error

    async def _publish(
        self,
        message: Message,
        exchange: str,
        routing_key: str,
        *,
        mandatory: bool = True,
        expiration_s: float | None = None,
    ) -> None:
        if self._publishing is None:
            raise BrokerUnavailable
        async with self._deadline():
            target = (
                await self._publishing.get_exchange(exchange, ensure=False)
                if exchange
                else self._publishing.default_exchange
            )
            await target.publish(outgoing(message, expiration_s), routing_key, mandatory=mandatory)

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        async with in_time(self._timeout_s):
            yield


def _patient(url: URL) -> URL:
    """The URL with what aio-pika takes from its query: connect again and again, also the first time."""
    patience = {"reconnect_interval": RECONNECT_INTERVAL_S, "fail_fast": 0}
    return url.update_query({"heartbeat": HEARTBEAT_S, **url.query, **patience})


@asynccontextmanager
async def _new_channel(connection: AbstractRobustConnection) -> AsyncIterator[AbstractRobustChannel]:
    """A channel that stays open, unless what is done with it first fails.

    Left open then, it would be restored with each reconnect, and its consumer would take deliveries beside
    the next one.
    """
    # Without on_return_raises an unroutable message would look like a confirmed one.
    channel = connection.channel(on_return_raises=True)
    try:
        await channel.initialize()
        yield channel
    except BaseException:
        with suppress(BrokerUnavailable):
            async with in_time(RECONNECT_INTERVAL_S):
                await channel.close()
        raise
