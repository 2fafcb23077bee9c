"""Publishes one by one, each written and awaited by aiormq: what batched_publishes.py is compared with."""

from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from common.broker.wire import Route, in_time


class PlainPublishes:
    """Publishes over one channel, until that is closed."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def publish(self, body: bytes, route: Route, properties: Basic.Properties, timeout_s: float) -> None:
        """Raises BrokerUnavailable unless the broker has confirmed the message within `timeout_s` seconds."""
        async with in_time(timeout_s):
            await self._channel.basic_publish(body, **route._asdict(), properties=properties)
