"""What is declared on the broker, as publishers that are not ours find it."""

from typing import Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from common.broker import Broker
from common.lifecycle import CannotStart
from tests.deployment import Place
from tests.integration.broker_clients import NewBroker, Publisher


def test_the_originals_publishers_may_declare_what_they_always_have(publisher: Publisher, place: Place) -> None:
    channel = publisher.channel()
    channel.exchange_declare(place.exchange, "direct", durable=True)
    channel.queue_declare(place.queue, durable=True)
    channel.queue_bind(place.queue, place.exchange, place.queue)


@pytest.mark.parametrize("arguments", [{"x-message-ttl": 1000}, {"x-max-length": 10}, {"x-queue-mode": "lazy"}])
def test_the_job_queue_has_no_arguments(publisher: Publisher, place: Place, arguments: dict[str, Any]) -> None:
    with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        publisher.channel().queue_declare(place.queue, durable=True, arguments=arguments)


def test_the_job_queue_is_durable(publisher: Publisher, place: Place) -> None:
    with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        publisher.channel().queue_declare(place.queue, durable=False)


def test_our_own_queues_have_the_arguments_of_the_topology(publisher: Publisher, broker: Broker) -> None:
    for queue in (broker.topology.wait, broker.topology.dead):
        publisher.channel().queue_declare(queue.name, durable=True, arguments=queue.arguments)
        with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
            publisher.channel().queue_declare(queue.name, durable=True)


def test_the_wait_queue_is_named_after_its_delay(broker: Broker, place: Place) -> None:
    assert broker.topology.wait.name == f"{place.queue}.wait.200"
    assert broker.topology.dead.name == f"{place.queue}.dead"


async def test_declaring_it_all_again_changes_nothing(broker: Broker, new_broker: NewBroker) -> None:
    again = await new_broker()
    await again.connect()
    assert again.topology == broker.topology


async def test_another_delay_has_a_wait_queue_of_its_own(broker: Broker, new_broker: NewBroker) -> None:
    other = await new_broker(retry_delay_s=7)
    await other.connect()
    assert other.topology.wait.name != broker.topology.wait.name
    assert await other.depth(broker.topology.wait.name) == 0


async def test_a_queue_that_is_there_with_other_arguments_is_named(new_broker: NewBroker, place: Place) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(place.environment["AMQP_URL"]))
    connection.channel().queue_declare(place.queue, durable=True, arguments={"x-max-length": 10})
    connection.close()
    with pytest.raises(CannotStart, match=place.queue):
        await (await new_broker()).connect()
