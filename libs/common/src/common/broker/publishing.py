"""Publishing: confirmed by the broker in time, or an error, on a connection of its own."""

import asyncio

import aio_pika
from aio_pika.abc import AbstractRobustConnection

from common.broker.connecting import close_connection, close_quietly, new_connection
from common.broker.wire import in_time, outgoing
from common.errors import BrokerUnavailable
from common.messages import Message

# Not empty: in an alarm the broker still takes a message that has no body.
_PROBE = Message(b"{}")
# The default exchange knows no queue without a name, so what goes there is confirmed and dropped.
_NOWHERE = ""


class Publishing:
    """A connection that only publishes, since an alarm makes the broker read no more from one that does.

    The broker says so only in answer to a publish, and from then on no other is written. What was written
    before, and not confirmed in time, may arrive after all: once the alarm is over, or a frozen broker goes on.
    Closing the channel takes nothing back, nor does closing the connection in good order (300 of 300 arrived).
    Cutting its socket does in an alarm (0 of 300), but not with a frozen broker (300 of 300); so whoever
    publishes has to bear such ghosts in any case, and nothing is cut.
    """

    def __init__(self, url: str, name: str, timeout_s: float) -> None:
        self._url = url
        self._name = name
        self._timeout_s = timeout_s
        self._connection: AbstractRobustConnection | None = None
        self._channel: aio_pika.Channel | None = None
        self._opening = asyncio.Lock()

    async def connect(self) -> None:
        """Wait until the connection is there, for as long as it takes."""
        self._connection = new_connection(self._url, self._name)
        await self._connection.connect(timeout=self._timeout_s)

    async def check(self) -> None:
        """Return if a publish succeeds now; raises BrokerUnavailable."""
        await self.publish(_PROBE, "", _NOWHERE, mandatory=False)

    async def publish(
        self,
        message: Message,
        exchange: str,
        routing_key: str,
        *,
        mandatory: bool = True,
        expiration_ms: int | None = None,
    ) -> None:
        """Raises BrokerUnavailable unless the broker has confirmed the message; at once if none can be written."""
        async with in_time(self._timeout_s):
            channel = await self._open_channel(await self._unblocked())
            target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
            await target.publish(outgoing(message, expiration_ms), routing_key, mandatory=mandatory)

    async def aclose(self) -> None:
        """Close the connection; publishes under way fail. Raises BrokerUnavailable if it does not close."""
        await close_connection(self._connection, self._timeout_s)

    async def _unblocked(self) -> AbstractRobustConnection:
        """The connection, if it is there and the broker reads from it; raises BrokerUnavailable at once if not."""
        if self._connection is None or self._connection.transport is None:
            raise BrokerUnavailable
        # Returns without having waited, or would wait until the alarm is over: there is no other way to ask.
        async with asyncio.timeout(0):
            await self._connection.transport.ready()
        return self._connection

    async def _open_channel(self, connection: AbstractRobustConnection) -> aio_pika.Channel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                # Without on_return_raises an unroutable message would look like a confirmed one.
                channel = aio_pika.Channel(connection, on_return_raises=True)
                try:
                    await channel.initialize()
                except BaseException:
                    await close_quietly(channel)
                    raise
                self._channel = channel
            return self._channel
