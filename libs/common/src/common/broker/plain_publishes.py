"""Publishes one by one, each written and awaited by aiormq: what batched_publishes.py is compared with."""

from aiormq.abc import AbstractChannel

from common.broker.connecting import is_ready
from common.broker.wire import Route, in_time, properties
from common.errors import BrokerUnavailable
from common.messages import Message


class PlainPublishes:
    """Publishes over one channel, until that is closed."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def publish(
        self, message: Message, route: Route, timeout_s: float, expiration_ms: int | None = None
    ) -> None:
        """Raises BrokerUnavailable unless the broker has confirmed the message within `timeout_s` seconds."""
        if not is_ready(self._channel.connection):
            raise BrokerUnavailable
        said = properties(message, expiration_ms)
        async with in_time(timeout_s):
            await self._channel.basic_publish(message.body, **route._asdict(), properties=said)
