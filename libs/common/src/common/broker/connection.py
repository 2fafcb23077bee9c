"""What services use of RabbitMQ: publishing, consuming, counting, over connections that repair themselves."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Never

import structlog
from aio_pika.abc import AbstractRobustConnection
from aio_pika.exceptions import ChannelPreconditionFailed
from aiormq.abc import AbstractChannel as PlainChannel

from common.broker.connecting import RECONNECT_INTERVAL_S, close_connection, new_connection, passing_channel
from common.broker.consuming import Consuming
from common.broker.publishing import Publishing
from common.broker.watching import SILENCE_S, Watch
from common.broker.wire import Delivery, QueueState, Route, in_time
from common.errors import BrokerUnavailable, Unroutable
from common.lifecycle import CannotStart
from common.messages import Message
from common.settings import BrokerSettings
from common.topology import Queue, Topology, wait_tier_ms

log = structlog.get_logger()


class Broker:
    """RabbitMQ, with our topology declared on it.

    There are two connections, because the broker may stop reading from one that publishes: acknowledgements on
    the same one would then not be heard either.
    """

    def __init__(self, settings: BrokerSettings, name: str) -> None:
        self.topology = Topology(settings.amqp_exchange, settings.amqp_queue)
        self._to_jobs = Route(self.topology.exchange, self.topology.queue)
        self._timeout_s = settings.broker_timeout_s
        self._url = settings.amqp_url.get_secret_value()
        self._name = name
        self._publishing = Publishing(
            self._url, f"{name} publishing", self._timeout_s, batching=settings.broker_batching
        )
        self._connection: AbstractRobustConnection | None = None
        self._consuming: Consuming | None = None
        self._consumes = asyncio.Event()
        self._watch: Watch | None = None
        self._tiers_ms: set[int] = set()

    @property
    def queues(self) -> tuple[Queue, ...]:
        """The queues that this process has to do with."""
        return (*self.topology.queues, *(self.topology.wait(tier_ms) for tier_ms in sorted(self._tiers_ms)))

    async def connect(self) -> None:
        """Wait until the broker is there, knows our topology and takes what we publish, for as long as it takes.

        Raises CannotStart if a queue or exchange is there already with other arguments than ours.
        """
        self._connection = new_connection(self._url, self._name)
        await asyncio.gather(self._connection.connect(timeout=self._timeout_s), self._publishing.connect())
        while True:
            try:
                await self._declare(*self.topology.queues)
                await self.check()
            except BrokerUnavailable:
                log.warning("broker_not_ready")
                await asyncio.sleep(RECONNECT_INTERVAL_S)
            else:
                log.info("broker_connected")
                return

    async def check(self) -> None:
        """Return if a publish succeeds now; raises BrokerUnavailable."""
        await self._publishing.check()

    async def check_consuming(self) -> None:
        """Return if deliveries can come, and a publish succeeds; raises BrokerUnavailable."""
        if self._consuming is None or self._consuming.is_lost:
            raise BrokerUnavailable
        await self.check()

    async def publish_job(self, message: Message) -> None:
        """Put a job on the job queue, by way of the exchange; raises BrokerUnavailable unless confirmed."""
        await self._publish(message, self._to_jobs, self.topology.queues)

    async def publish_later(self, message: Message, delay_s: float) -> None:
        """Put a job on the job queue once the delay is over; raises BrokerUnavailable unless confirmed.

        It comes never earlier than that, and later by at most its tier, if others wait before it there. A
        delay beyond the largest tier is cut to that. A tier is declared when somebody first needs it.
        """
        tier_ms = wait_tier_ms(delay_s)
        queue, expiration_ms = self.topology.wait(tier_ms), min(max(0, math.ceil(delay_s * 1000)), tier_ms)
        await self._publish(message, Route("", queue.name), (queue,), expiration_ms)
        self._tiers_ms.add(tier_ms)

    async def publish_dead(self, letter: Message) -> None:
        """Put a message among the dead letters; raises BrokerUnavailable unless confirmed."""
        await self._publish(letter, Route("", self.topology.dead.name), (self.topology.dead,))

    async def publish_to(self, queue: str, message: Message, *, mandatory: bool = True) -> None:
        """Put a message on a queue by its name; raises BrokerUnavailable unless confirmed.

        That is PublishRefused if the queue is full. Without `mandatory` a queue that does not exist is no
        error, and the message is dropped.
        """
        await self._publishing.publish(message, Route("", queue, mandatory))

    async def consume(self, prefetch: int, handle: Callable[[Delivery], None]) -> None:
        """Give each delivery of the job queue to `handle`, at most `prefetch` of them unsettled at a time.

        `handle` must not block and must not raise; aiormq cancels its own callbacks when a connection is
        lost, so what takes long belongs in a task of the caller's. Only `watch` brings a consumer back.
        """
        await self.declare()
        consuming = Consuming(self._connected(), self.topology.queue, prefetch, handle, self._timeout_s)
        await consuming.subscribe()
        self._consuming = consuming
        self._consumes.set()

    async def watch(self, silence_s: float = SILENCE_S) -> Never:
        """Once there is a consumer, renew it whenever it is lost, or gets nothing for so long although jobs wait."""
        await self._consumes.wait()
        if self._consuming is None:  # it was stopped at once
            raise BrokerUnavailable
        consuming = self._consuming

        async def renew() -> None:
            await self.declare()
            await consuming.subscribe()

        self._watch = Watch(consuming, lambda: self.depth(self.topology.queue), renew, silence_s)
        await self._watch.run()

    def is_alive(self) -> bool:
        """False once renewing the consumer was in vain again and again."""
        return self._watch is None or not self._watch.has_given_up

    async def stop_consuming(self) -> None:
        """Take no more deliveries; those in hand can still be settled."""
        if self._consuming is None:
            return
        try:
            await self._consuming.stop()
        except BrokerUnavailable:
            log.warning("consumer_not_cancelled")
        self._consuming = None

    async def depth(self, queue: str) -> int:
        """How many messages are ready in a queue; raises as `look_at`."""
        return (await self.look_at(queue)).ready

    async def look_at(self, queue: str) -> QueueState:
        """What the broker says of a queue; raises BrokerUnavailable, Unroutable if there is no such queue."""
        async with in_time(self._timeout_s), passing_channel(self._connected()) as channel:
            declared = await channel.queue_declare(queue, passive=True)
            return QueueState(declared.message_count or 0, declared.consumer_count or 0)

    async def declare(self) -> None:
        """Make what is gone of our topology; raises BrokerUnavailable."""
        await self._declare_again(*self.topology.queues)

    async def aclose(self) -> None:
        """Close the connections; what is not settled goes back to the queue."""
        closing = (self._publishing.aclose(), close_connection(self._connection, self._timeout_s))
        for result in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(result, BrokerUnavailable):
                log.warning("broker_not_closed")
            elif result is not None:
                raise result

    async def _publish(
        self, message: Message, route: Route, needed: tuple[Queue, ...], expiration_ms: int | None = None
    ) -> None:
        """Publish; if nothing takes the message, declare what it needs and publish it again, all in the one time."""
        began = time.monotonic()
        try:
            await self._publishing.publish(message, route, expiration_ms)
        except Unroutable:
            async with in_time(self._timeout_s - (time.monotonic() - began)):
                await self._declare_again(*needed)
                await self._publishing.publish(message, route, expiration_ms)

    async def _declare_again(self, *queues: Queue) -> None:
        try:
            await self._declare(*queues)
        except CannotStart as error:
            # Somebody has made another queue of that name while we run; whoever submits hears 503.
            log.warning("broker_misconfigured", reason=str(error))
            raise BrokerUnavailable from error
        log.info("queues_declared", queues=[queue.name for queue in queues])

    async def _declare(self, *queues: Queue) -> None:
        async with in_time(self._timeout_s):
            try:
                async with passing_channel(self._connected()) as channel:
                    await self._declare_on(channel, *queues)
            except ChannelPreconditionFailed as error:
                raise CannotStart(
                    f"the exchange {self.topology.exchange} or one of the queues {self.topology.queue}* exists "
                    "with other arguments: delete it, or set AMQP_EXCHANGE and AMQP_QUEUE"
                ) from error

    async def _declare_on(self, channel: PlainChannel, *queues: Queue) -> None:
        exchange = self.topology.exchange
        await channel.exchange_declare(exchange, exchange_type="direct", durable=True)
        for queue in queues:
            await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments or {}))
            if queue == self.topology.jobs:
                await channel.queue_bind(queue.name, exchange, queue.name)

    def _connected(self) -> AbstractRobustConnection:
        if self._connection is None:
            raise BrokerUnavailable
        return self._connection
