"""A broker without memory, for real: it takes no more messages, and goes on to give them out."""

import pytest

from common.broker import Broker
from common.messages import Message
from stack.process import Process
from tests.integration.broker_clients import (
    Basket,
    NewBroker,
    Publisher,
    alarm,
    consuming,
    eventually_published,
    unavailable_in_time,
)

TIMEOUT_S = 1.0
MANY = 50


@pytest.fixture(name="broker")
async def broker_on_own_server(new_broker: NewBroker, own_rabbitmq: Process) -> Broker:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    return broker


async def test_deliveries_come_and_are_acknowledged(broker: Broker, own_rabbitmq: Process) -> None:
    for body in (b"first", b"second"):
        await broker.publish_job(Message(body))
    async with alarm(own_rabbitmq):
        await unavailable_in_time(broker.publish_job(Message(b"blocks the connection")), TIMEOUT_S)
        basket = await consuming(broker, prefetch=1)
        for body in (b"first", b"second"):
            delivery = await basket.next()
            assert delivery.message.body == body
            await delivery.acknowledge()
        assert await broker.depth(broker.topology.queue) == 0
        await broker.aclose()
        with Publisher(own_rabbitmq.program.url) as other:
            assert other.channel().queue_declare(broker.topology.queue, passive=True).method.message_count == 0


async def test_publishes_fail_in_time_and_then_at_once_and_at_most_the_first_arrives(
    broker: Broker, own_rabbitmq: Process
) -> None:
    async with alarm(own_rabbitmq):
        await unavailable_in_time(broker.publish_job(Message(b"first")), TIMEOUT_S)
        for _ in range(MANY):
            await unavailable_in_time(broker.publish_job(Message(b"more")), -0.9)
            await unavailable_in_time(broker.publish_later(Message(b"more"), 0), -0.9)
    await eventually_published(broker)
    assert set(await _bodies(broker)) <= {b"first", b"after"}


async def test_who_asks_first_whether_a_publish_would_succeed_leaves_nothing_behind(
    broker: Broker, own_rabbitmq: Process
) -> None:
    await broker.check()
    async with alarm(own_rabbitmq):
        await unavailable_in_time(broker.check(), TIMEOUT_S)
        await unavailable_in_time(broker.check(), -0.9)
        for _ in range(MANY):
            await unavailable_in_time(broker.publish_job(Message(b"during")), -0.9)
    await eventually_published(broker)
    await broker.check()
    assert await _bodies(broker) == [b"after"]


async def _bodies(broker: Broker) -> list[bytes]:
    """What is on the job queue, up to the message that was published last."""
    basket: Basket = await consuming(broker, prefetch=10 * MANY)
    bodies: list[bytes] = []
    while b"after" not in bodies:
        bodies.append((await basket.next()).message.body)
    return bodies
