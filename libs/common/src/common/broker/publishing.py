"""Publishing: confirmed by the broker in time, or an error, on a connection of its own."""

import asyncio
import time
from typing import Protocol

from aio_pika.abc import AbstractRobustConnection
from aiormq.abc import AbstractChannel, AbstractConnection

from common.broker.batched_publishes import BatchedPublishes
from common.broker.connecting import close_connection, is_ready, new_connection
from common.broker.plain_publishes import PlainPublishes
from common.broker.wire import Route, in_time
from common.errors import BrokerUnavailable
from common.messages import Message

# Not empty: in an alarm the broker still takes a message that has no body.
_PROBE = Message(b"{}")
# The default exchange knows no queue without a name, so what goes there is confirmed and dropped.
_NOWHERE = Route("", "", mandatory=False)


class Publishing:
    """A connection that only publishes, since an alarm makes the broker read no more from one that does.

    The broker says so only in answer to a publish, and from then on no other is written. What was written
    before, and not confirmed in time, may arrive after all: once the alarm is over, or a frozen broker goes on.
    Closing the channel takes nothing back, nor does closing the connection in good order (300 of 300 arrived).
    Cutting its socket does in an alarm (0 of 300), but not with a frozen broker (300 of 300); so whoever
    publishes has to bear such ghosts in any case, and nothing is cut.
    """

    def __init__(self, url: str, name: str, timeout_s: float, *, batching: bool) -> None:
        self._url = url
        self._name = name
        self._timeout_s = timeout_s
        self._way: type[Publishes] = BatchedPublishes if batching else PlainPublishes
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractChannel | None = None
        self._publishes: Publishes | None = None
        self._opening = asyncio.Lock()

    async def connect(self) -> None:
        """Wait until the connection is there, for as long as it takes."""
        self._connection = new_connection(self._url, self._name)
        await self._connection.connect(timeout=self._timeout_s)

    async def check(self) -> None:
        """Return if a publish succeeds now; raises BrokerUnavailable."""
        await self.publish(_PROBE, _NOWHERE)

    async def publish(self, message: Message, route: Route, expiration_ms: int | None = None) -> None:
        """Raises BrokerUnavailable unless the broker has confirmed the message; at once if none can be written."""
        publishes, left_s = self._open_publishes, self._timeout_s
        if publishes is None:
            began = time.monotonic()
            async with in_time(self._timeout_s):
                publishes = await self._open_channel(self._ready_connection())
            left_s -= time.monotonic() - began
        await publishes.publish(message, route, left_s, expiration_ms)

    async def aclose(self) -> None:
        """Close the connection; publishes under way fail. Raises BrokerUnavailable if it does not close."""
        await close_connection(self._connection, self._timeout_s)

    def _ready_connection(self) -> AbstractConnection:
        """The connection, if it is there and the broker reads from it; raises BrokerUnavailable at once if not."""
        transport = self._connection.transport if self._connection is not None else None
        if transport is None or not is_ready(transport.connection):
            raise BrokerUnavailable
        return transport.connection

    @property
    def _open_publishes(self) -> "Publishes | None":
        return None if self._channel is None or self._channel.is_closed else self._publishes

    async def _open_channel(self, connection: AbstractConnection) -> "Publishes":
        async with self._opening:
            publishes = self._open_publishes
            if publishes is None:
                # Without on_return_raises an unroutable message would look like a confirmed one.
                channel = await connection.channel(on_return_raises=True)
                publishes = self._way(channel)
                self._channel, self._publishes = channel, publishes
            return publishes


class Publishes(Protocol):
    """How messages go over a channel: plain_publishes.py and batched_publishes.py."""

    def __init__(self, channel: AbstractChannel) -> None: ...

    async def publish(
        self, message: Message, route: Route, timeout_s: float, expiration_ms: int | None = None
    ) -> None:
        """Raises BrokerUnavailable unless the broker has confirmed the message within `timeout_s` seconds.

        At once if it reads no more from the connection.
        """
