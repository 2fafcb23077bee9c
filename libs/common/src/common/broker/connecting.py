"""Connections that repair themselves, and channels that do not: who needs one opens the next."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractRobustConnection
from aiormq.abc import AbstractChannel as PlainChannel
from aiormq.abc import AbstractConnection
from yarl import URL

from common.broker.wire import in_time
from common.errors import BrokerUnavailable

#: Seconds. A connection that is silent for about three times this is given up; the default is three minutes.
HEARTBEAT_S = 10
RECONNECT_INTERVAL_S = 1


def new_connection(url: str, name: str) -> AbstractRobustConnection:
    """A connection that is not there yet: `connect` waits for as long as it takes, and `close` ends that too."""
    # Not connect_robust(): what it makes could not be closed, and would never end, before it has connected.
    return aio_pika.RobustConnection(_patient(URL(url)), client_properties={"connection_name": name})


def _patient(url: URL) -> URL:
    """The URL with what aio-pika takes from its query: connect again and again, also the first time."""
    patience = {"reconnect_interval": RECONNECT_INTERVAL_S, "fail_fast": 0}
    return url.update_query({"heartbeat": HEARTBEAT_S, **url.query, **patience})


def is_ready(connection: AbstractConnection) -> bool:
    """Whether the connection is there, and the broker has not said that it reads no more from it."""
    # There is no other way to ask than to begin to wait, which ends at once if there is nothing to wait for.
    waiting = connection.ready()
    try:
        waiting.send(None)
    except StopIteration:
        return True
    waiting.close()
    return False


async def new_channel(connection: AbstractRobustConnection) -> PlainChannel:
    """A channel that does not repair itself; raises BrokerUnavailable while the connection is not there."""
    if connection.transport is None:
        raise BrokerUnavailable
    return await connection.transport.connection.channel(publisher_confirms=False)


@asynccontextmanager
async def passing_channel(connection: AbstractRobustConnection) -> AsyncIterator[PlainChannel]:
    """A channel for a few questions. The broker closes a channel with most errors, so nobody else is on it."""
    channel = await new_channel(connection)
    # Not in a finally: aiormq closes it if a question was broken off, and the broker if it was a wrong one.
    yield channel
    await channel.close()


async def close_quietly(channel: PlainChannel) -> None:
    """Close it, or leave that to aiormq if it takes longer than a moment."""
    with suppress(BrokerUnavailable):
        async with in_time(RECONNECT_INTERVAL_S):
            await channel.close()


async def close_connection(connection: AbstractRobustConnection | None, timeout_s: float) -> None:
    """Close it, also one that never was there; raises BrokerUnavailable."""
    if connection is not None:
        async with in_time(timeout_s):
            await connection.close()
