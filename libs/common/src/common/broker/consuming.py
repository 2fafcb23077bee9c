"""Consuming: one consumer of the job queue, on one channel after another."""

from collections.abc import Callable
from typing import cast

import aiormq
from aio_pika.abc import AbstractRobustConnection
from aiormq.abc import AbstractChannel, DeliveredMessage

from common.broker.connecting import close_quietly, new_channel
from common.broker.watching import Watched
from common.broker.wire import Delivery, in_time
from common.errors import BrokerUnavailable


class _Subscription:
    """A consumer on a channel, and how many of its deliveries are in our hands.

    On aiormq's channel: aio-pika makes another message of each, and runs each callback in a second task.
    """

    def __init__(self, channel: AbstractChannel, handle: Callable[[Delivery], None], timeout_s: float) -> None:
        self.channel = channel
        self._timeout_s = timeout_s
        self.in_hand = 0
        self.received = 0
        self._handle = handle
        self._tag = ""

    async def begin(self, queue: str, prefetch: int) -> None:
        # Before consuming: a consumer that is there already would get everything at once.
        await self.channel.basic_qos(prefetch_count=prefetch)
        self._tag = (await self.channel.basic_consume(queue, self._on_message)).consumer_tag or ""
        self._consumers = cast("aiormq.Channel", self.channel).consumers

    async def end(self) -> None:
        await self.channel.basic_cancel(self._tag)

    @property
    def is_lost(self) -> bool:
        """Whether no more deliveries can come: the channel is closed, or the broker has cancelled the consumer."""
        return self.channel.is_closed or self._tag not in self._consumers

    async def _on_message(self, delivered: DeliveredMessage) -> None:
        self.in_hand += 1
        self.received += 1
        self._handle(Delivery(delivered, self._timeout_s, self._on_settled))

    def _on_settled(self) -> None:
        self.in_hand -= 1


class Consuming(Watched):
    """Gives each delivery of a queue to `handle`, at most `prefetch` of them unsettled at a time.

    Repairs nothing by itself: it tells that it is lost, and can be subscribed again.
    """

    def __init__(
        self,
        connection: AbstractRobustConnection,
        queue: str,
        prefetch: int,
        handle: Callable[[Delivery], None],
        timeout_s: float,
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._prefetch = prefetch
        self._handle = handle
        self._timeout_s = timeout_s
        self._subscription: _Subscription | None = None

    @property
    def is_lost(self) -> bool:
        return self._subscription is None or self._subscription.is_lost

    @property
    def is_full(self) -> bool:
        return self._subscription is not None and self._subscription.in_hand >= self._prefetch

    @property
    def received(self) -> int:
        return 0 if self._subscription is None else self._subscription.received

    async def subscribe(self) -> None:
        """Consume on a new channel; raises BrokerUnavailable.

        The old channel is closed, so the broker delivers again what was not settled on it. To settle those old
        deliveries is no error, and does nothing.
        """
        old, self._subscription = self._subscription, None
        if old is not None:
            await close_quietly(old.channel)
        async with in_time(self._timeout_s):
            new = _Subscription(await new_channel(self._connection), self._handle, self._timeout_s)
        try:
            async with in_time(self._timeout_s):
                await new.begin(self._queue, self._prefetch)
        except BaseException:
            # Left open, it might take deliveries beside the next one.
            await close_quietly(new.channel)
            raise
        self._subscription = new

    async def stop(self) -> None:
        """Take no more deliveries; those in hand can still be settled. Raises BrokerUnavailable."""
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            raise BrokerUnavailable
        async with in_time(self._timeout_s):
            await subscription.end()
