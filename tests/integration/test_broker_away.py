"""A broker that does not answer is said to be unavailable, within the timeout; one that comes back is used again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from common.broker import Broker
from common.lifecycle import background
from common.messages import Message
from stack.process import Process
from tests.integration.broker_clients import (
    NewBroker,
    consuming,
    eventually_published,
    unavailable_in_time,
)

TIMEOUT_S = 1.0
CALLS: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "publish_job": lambda broker: broker.publish_job(Message(b"{}")),
    "publish_to": lambda broker: broker.publish_to(broker.topology.dead.name, Message(b"{}")),
    "publish_dead": lambda broker: broker.publish_dead(Message(b"{}")),
    "publish_later": lambda broker: broker.publish_later(Message(b"{}"), 60),
    "depth": lambda broker: broker.depth(broker.topology.queue),
    "check": lambda broker: broker.check(),
    "declare": lambda broker: broker.declare(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_broker_that_is_frozen(
    new_broker: NewBroker, own_rabbitmq: Process, call: Callable[[Broker], Awaitable[object]]
) -> None:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    own_rabbitmq.freeze()
    try:
        await unavailable_in_time(call(broker), TIMEOUT_S)
    finally:
        own_rabbitmq.thaw()
    await eventually_published(broker)


async def test_a_broker_that_stops_and_comes_back(new_broker: NewBroker, own_rabbitmq: Process) -> None:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    basket = await consuming(broker)
    async with background(broker.watch()):
        await broker.publish_job(Message(b"before"))
        before = await basket.next()
        own_rabbitmq.stop()
        for call in CALLS.values():
            await unavailable_in_time(call(broker), TIMEOUT_S)
        await before.acknowledge()  # too late, and no error
        own_rabbitmq.start()
        again = await basket.next(30)
        assert (again.message.body, again.redelivered) == (b"before", True)
        await again.acknowledge()
        await eventually_published(broker)


async def test_acknowledgements_have_an_end_although_their_connection_is_given_up_meanwhile(
    new_broker: NewBroker, own_rabbitmq: Process
) -> None:
    """The driver lets those wait for ever that stand before its full line to a connection that is closed."""
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    basket = await consuming(broker, 300)
    await asyncio.gather(*(broker.publish_job(Message(b"{}")) for _ in range(300)))
    deliveries = [await basket.next() for _ in range(300)]
    acknowledgements = [asyncio.ensure_future(delivery.acknowledge()) for delivery in deliveries]
    await asyncio.sleep(0)
    await broker.aclose()
    async with asyncio.timeout(TIMEOUT_S + 3):
        await asyncio.gather(*acknowledgements)
