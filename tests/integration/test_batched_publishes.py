"""What shares a write shares nothing else: each publish has its own end, and its own time."""

import asyncio
from dataclasses import replace

import pytest

from common.broker import Broker
from common.errors import BrokerUnavailable, PublishRefused, Unroutable
from common.messages import Message
from stack.process import Process
from tests.deployment import Place
from tests.integration.broker_clients import (
    NewBroker,
    Publisher,
    consuming,
    eventually_published,
    unavailable_in_time,
)
from tests.waiting import eventually

JOB = Message(b"{}", message_id="a-job")
MANY = 3_000


def numbered(count: int) -> list[Message]:
    return [Message(str(number).encode(), message_id=f"job-{number}") for number in range(count)]


async def test_each_has_its_own_failure(broker: Broker, publisher: Publisher) -> None:
    limits = {"x-max-length": 0, "x-overflow": "reject-publish"}
    full = publisher.channel().queue_declare("", exclusive=True, arguments=limits).method.queue
    good, missing = broker.topology.queue, "no-such-queue"
    queues = [(good, missing, full)[number % 3] for number in range(300)]
    publishes = (broker.publish_to(queue, job) for queue, job in zip(queues, numbered(300), strict=True))
    ends = await asyncio.gather(*publishes, return_exceptions=True)
    expected = {good: type(None), missing: Unroutable, full: PublishRefused}
    assert [type(end) for end in ends] == [expected[queue] for queue in queues]
    assert await broker.depth(good) == 100


async def test_many_at_once_arrive_in_their_order(broker: Broker) -> None:
    await asyncio.gather(*(broker.publish_job(job) for job in numbered(MANY)))
    basket = await consuming(broker, MANY)
    arrived = [await basket.next() for _ in range(MANY)]
    assert [delivery.message.message_id for delivery in arrived] == [job.message_id for job in numbered(MANY)]


async def test_two_with_one_id_are_told_apart(broker: Broker) -> None:
    good, missing = broker.topology.queue, "no-such-queue"
    publishes = [broker.publish_to(queue, JOB) for queue in (good, missing, good, missing, good)]
    ends = await asyncio.gather(*publishes, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), Unroutable, type(None), Unroutable, type(None)]


@pytest.mark.parametrize("size", [1, 131_000, 131_064, 131_065, 262_128, 1_000_000])
async def test_a_body_of_any_size_arrives_whole(broker: Broker, publisher: Publisher, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    await asyncio.gather(*(broker.publish_job(replace(JOB, message_id=str(nth), body=body)) for nth in range(3)))
    assert [publisher.take(broker.topology.queue)[1] == body for _ in range(3)] == [True] * 3


async def test_who_has_gone_before_the_write_has_published_nothing(broker: Broker, publisher: Publisher) -> None:
    await broker.check()  # or the first would open a channel
    publishes = [asyncio.ensure_future(broker.publish_job(job)) for job in numbered(10)]

    async def cancel() -> None:
        """In the same turn of the event loop as the publishes."""
        for publish in publishes[::2]:
            publish.cancel()

    await asyncio.gather(cancel(), *publishes, return_exceptions=True)
    assert [publish.cancelled() for publish in publishes] == [True, False] * 5
    arrived = [publisher.take(broker.topology.queue)[1] for _ in range(5)]
    assert arrived == [b"1", b"3", b"5", b"7", b"9"]


async def test_what_a_frozen_broker_left_unwritten_never_arrives(
    new_broker: NewBroker, own_rabbitmq: Process, place: Place
) -> None:
    """The first fill all that lies between us and the broker; the last stand in line until their time is over."""
    broker = await new_broker(own_rabbitmq.program.url, 1)
    await broker.connect()
    own_rabbitmq.freeze()
    try:
        large = [Message(bytes(900_000), message_id=f"large-{number}") for number in range(20)]
        publishes = [unavailable_in_time(broker.publish_job(message), 1) for message in (*large, JOB)]
        await asyncio.gather(*publishes)
    finally:
        own_rabbitmq.thaw()
    await eventually_published(broker, b"last")
    with Publisher(own_rabbitmq.program.url) as publisher:
        ids, body = [], b""
        while body != b"last":
            properties, body = publisher.take(place.queue)
            ids.append(properties.message_id)
    assert JOB.message_id not in ids


async def test_a_job_may_be_published_again_although_nobody_knows_what_became_of_it(
    new_broker: NewBroker, own_rabbitmq: Process
) -> None:
    broker = await new_broker(own_rabbitmq.program.url, 1)
    await broker.connect()
    own_rabbitmq.freeze()
    try:
        await unavailable_in_time(broker.publish_job(JOB), 1)
        again = asyncio.ensure_future(unavailable_in_time(broker.publish_job(JOB), 1))
        await again
    finally:
        own_rabbitmq.thaw()

    async def is_published() -> bool:
        try:
            await broker.publish_job(JOB)
        except BrokerUnavailable:
            return False
        return True

    await eventually(is_published)


async def test_the_end_of_a_channel_fails_all_that_are_on_it(
    broker: Broker, publisher: Publisher, place: Place
) -> None:
    """The broker closes it over an exchange that does not exist; what then is published opens the next one."""
    await broker.check()
    publisher.channel().exchange_delete(place.exchange)
    jobs = numbered(50)
    ends = await asyncio.gather(*(broker.publish_job(job) for job in jobs), return_exceptions=True)
    assert all(end is None or isinstance(end, BrokerUnavailable) for end in ends)
    await broker.publish_job(JOB)
    assert await broker.depth(place.queue) == sum(end is None for end in ends) + 1
