"""What is declared on the broker, as publishers that are not ours find it."""

from typing import Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from common.broker import Broker
from common.lifecycle import CannotStart
from common.messages import Message
from common.topology import wait_tier_ms
from tests.deployment import Place
from tests.integration.broker_clients import NewBroker, Publisher


def test_the_originals_publishers_may_declare_what_they_always_have(publisher: Publisher, place: Place) -> None:
    channel = publisher.channel()
    channel.exchange_declare(place.exchange, "direct", durable=True)
    channel.queue_declare(place.queue, durable=True)
    channel.queue_bind(place.queue, place.exchange, place.queue)


@pytest.mark.parametrize(
    "arguments", [{"x-message-ttl": 1000}, {"x-max-length": 10}, {"x-overflow": "reject-publish"}]
)
def test_the_job_queue_has_no_arguments(publisher: Publisher, place: Place, arguments: dict[str, Any]) -> None:
    with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        publisher.channel().queue_declare(place.queue, durable=True, arguments=arguments)


def test_the_job_queue_is_durable(publisher: Publisher, place: Place) -> None:
    with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        publisher.channel().queue_declare(place.queue, durable=False)


async def test_our_own_queues_have_the_arguments_of_the_topology(publisher: Publisher, broker: Broker) -> None:
    await broker.publish_later(Message(b"{}"), 0.2)
    for queue in (broker.topology.wait(250), broker.topology.dead):
        publisher.channel().queue_declare(queue.name, durable=True, arguments=queue.arguments)
        with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
            publisher.channel().queue_declare(queue.name, durable=True)


@pytest.mark.parametrize(
    ("delay_s", "tier_ms"), [(0, 250), (0.25, 250), (0.2501, 500), (5, 8000), (1024, 1_024_000), (9999, 1_024_000)]
)
def test_the_tier_is_the_smallest_that_is_long_enough(delay_s: float, tier_ms: int) -> None:
    assert wait_tier_ms(delay_s) == tier_ms


async def test_a_tier_is_declared_when_it_is_first_needed(broker: Broker, publisher: Publisher, place: Place) -> None:
    with pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
        publisher.channel().queue_declare(f"{place.queue}.wait.1000", passive=True)
    assert broker.queues == broker.topology.queues
    await broker.publish_later(Message(b"{}"), 1)
    publisher.channel().queue_declare(f"{place.queue}.wait.1000", passive=True)
    assert broker.queues == (*broker.topology.queues, broker.topology.wait(1000))


async def test_declaring_it_all_again_changes_nothing(broker: Broker, new_broker: NewBroker) -> None:
    again = await new_broker()
    await again.connect()
    assert again.topology == broker.topology


async def test_a_queue_that_is_there_with_other_arguments_is_named(new_broker: NewBroker, place: Place) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(place.environment["AMQP_URL"]))
    connection.channel().queue_declare(place.queue, durable=True, arguments={"x-max-length": 10})
    connection.close()
    with pytest.raises(CannotStart, match=place.queue):
        await (await new_broker()).connect()
