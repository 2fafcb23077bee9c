"""Every way in which a publish can fail is BrokerUnavailable, in time, and never a hang."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.broker import Broker
from common.errors import BrokerUnavailable, PublishRefused
from common.messages import Message
from stack.process import Process
from tests.deployment import Place
from tests.integration.broker_clients import (
    BOTH_WAYS,
    NewBroker,
    Publisher,
    eventually_published,
    rabbitmqctl,
    unavailable_in_time,
)
from tests.waiting import eventually

pytestmark = BOTH_WAYS

TIMEOUT_S = 1.0
PATIENCE_S = 60.0
MANY = 50
JOB = Message(b"{}")


@pytest.fixture
async def patient(new_broker: NewBroker, own_rabbitmq: Process) -> Broker:
    """A client that would wait for a minute, and notices a silent connection in a few seconds."""
    broker = await new_broker(f"{own_rabbitmq.program.url}?heartbeat=1", PATIENCE_S)
    await broker.connect()
    return broker


@asynccontextmanager
async def frozen(rabbitmq: Process) -> AsyncIterator[None]:
    rabbitmq.freeze()
    try:
        yield
    finally:
        rabbitmq.thaw()


async def test_all_that_wait_for_a_frozen_broker_fail_in_time(new_broker: NewBroker, own_rabbitmq: Process) -> None:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    async with frozen(own_rabbitmq):
        publishes = (unavailable_in_time(broker.publish_job(JOB), TIMEOUT_S) for _ in range(MANY))
        await asyncio.gather(*publishes)
    await eventually_published(broker)


async def test_a_connection_that_is_given_up_fails_what_waits_for_it(patient: Broker, own_rabbitmq: Process) -> None:
    """The driver cancels those who wait then."""
    async with frozen(own_rabbitmq):
        publishes = (unavailable_in_time(patient.publish_job(JOB), 20) for _ in range(MANY))
        await asyncio.gather(*publishes)
    await eventually_published(patient)


async def test_who_is_cancelled_himself_is_cancelled(patient: Broker, own_rabbitmq: Process) -> None:
    async with frozen(own_rabbitmq):
        publish = asyncio.create_task(patient.publish_job(JOB))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(publish)
        publish.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publish


async def test_closing_fails_what_is_under_way(patient: Broker, own_rabbitmq: Process) -> None:
    async with frozen(own_rabbitmq):
        publishes = [asyncio.create_task(patient.publish_job(JOB)) for _ in range(MANY)]
        await asyncio.sleep(0)
        await patient.aclose()
        for publish in publishes:
            await unavailable_in_time(publish, 0)


@pytest.mark.parametrize("fault", ["stopped", "connections closed"])
async def test_a_stream_of_publishes_is_confirmed_or_fails(
    new_broker: NewBroker, own_rabbitmq: Process, fault: str
) -> None:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    confirmed = failed = 0

    async def stream() -> None:
        nonlocal confirmed, failed
        while not failed:
            async with asyncio.timeout(TIMEOUT_S + 1):
                try:
                    await broker.publish_job(JOB)
                    confirmed += 1
                except BrokerUnavailable:
                    failed += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(MANY):
            group.create_task(stream())
        await eventually(lambda: confirmed > MANY)
        if fault == "stopped":
            await asyncio.to_thread(own_rabbitmq.stop)
        else:
            await rabbitmqctl(own_rabbitmq, "close_all_connections", "a test")
    if fault == "stopped":
        own_rabbitmq.start()
    await eventually_published(broker)


async def test_a_job_queue_that_a_policy_keeps_short_refuses_jobs(
    new_broker: NewBroker, own_rabbitmq: Process, place: Place
) -> None:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    limit = '{"max-length": 1, "overflow": "reject-publish"}'
    await rabbitmqctl(own_rabbitmq, "set_policy", place.queue, f"^{place.queue}$", limit, "--apply-to", "queues")

    async def is_refused() -> bool:
        try:
            await broker.publish_job(JOB)
        except PublishRefused:
            return True
        return False

    await eventually(is_refused)
    await broker.check()


async def test_an_exchange_that_was_deleted_is_declared_again(
    broker: Broker, publisher: Publisher, place: Place
) -> None:
    publisher.channel().exchange_delete(place.exchange)
    await broker.publish_job(JOB)
    assert publisher.take(place.queue)[1] == JOB.body
