"""Publishing that is confirmed or fails, and deliveries that are ours until we settle them."""

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from common.broker import Broker, inspecting
from common.errors import BrokerUnavailable, PublishRefused
from common.messages import HeaderValue, Message
from common.settings import BrokerSettings
from tests.deployment import Place
from tests.integration.broker_clients import BOTH_WAYS, NewBroker, Publisher, consuming
from tests.waiting import eventually

pytestmark = BOTH_WAYS

FULL = Message(
    body='{"msg": "你好 👋\x00"}'.encode(),
    message_id="job-1",
    correlation_id="corr-1",
    reply_to="a-reply-queue",
    timestamp=1_700_000_000,
    headers={"x-attempt": 2, "x-deadline": 1.5, "traceparent": "00-ab", "flag": True, "none": None, "big": 2**62},
)


async def test_a_published_job_is_on_the_queue_when_the_publish_returns(broker: Broker, publisher: Publisher) -> None:
    await broker.publish_job(FULL)
    properties, body = publisher.take(broker.topology.queue)
    assert (body, properties.message_id, properties.correlation_id) == (FULL.body, "job-1", "corr-1")
    assert (properties.reply_to, properties.timestamp) == ("a-reply-queue", 1_700_000_000)
    assert (properties.delivery_mode, properties.content_type) == (2, "application/json")


async def test_a_job_goes_by_way_of_the_exchange(broker: Broker, publisher: Publisher, place: Place) -> None:
    publisher.channel().queue_declare(f"{place.queue}.tap", auto_delete=True)
    publisher.channel().queue_bind(f"{place.queue}.tap", place.exchange, place.queue)
    await broker.publish_job(FULL)
    assert publisher.take(f"{place.queue}.tap")[1] == FULL.body


async def test_a_job_that_no_queue_takes_finds_the_queue_declared_again(
    broker: Broker, publisher: Publisher, place: Place
) -> None:
    publisher.channel().queue_unbind(place.queue, place.exchange, place.queue)
    await broker.publish_job(FULL)
    publisher.channel().queue_delete(place.queue)
    await broker.publish_job(FULL)
    assert publisher.take(place.queue)[1] == FULL.body


async def test_a_job_queue_that_became_another_one_refuses_the_job_and_not_the_service(
    broker: Broker, publisher: Publisher, place: Place
) -> None:
    publisher.channel().queue_delete(place.queue)
    publisher.channel().queue_declare(place.queue, durable=True, arguments={"x-max-length": 5})
    with pytest.raises(BrokerUnavailable):
        await broker.publish_job(FULL)


async def test_a_full_job_queue_is_told_from_one_that_is_away(broker: Broker, publisher: Publisher) -> None:
    limits = {"x-max-length": 0, "x-overflow": "reject-publish"}
    full = publisher.channel().queue_declare("", exclusive=True, arguments=limits).method.queue
    with pytest.raises(PublishRefused):
        await broker.publish_to(full, FULL)


async def test_a_queue_that_is_gone_is_no_error_only_if_that_is_asked_for(broker: Broker) -> None:
    with pytest.raises(BrokerUnavailable):
        await broker.publish_to("no-such-queue", FULL)
    await broker.publish_to("no-such-queue", FULL, mandatory=False)


async def test_a_delivery_has_what_was_published(broker: Broker) -> None:
    basket = await consuming(broker)
    await broker.publish_job(FULL)
    delivery = await basket.next()
    assert delivery.message == FULL
    assert not delivery.redelivered
    await delivery.acknowledge()


async def test_a_message_without_properties_has_none(broker: Broker, publisher: Publisher, place: Place) -> None:
    basket = await consuming(broker)
    publisher.publish(place.exchange, place.queue, b"hello")
    assert (await basket.next()).message == Message(b"hello")


async def test_a_message_for_later_comes_back_as_it_was(broker: Broker) -> None:
    basket = await consuming(broker)
    await broker.publish_later(FULL, 0.25)
    assert await broker.depth(broker.topology.wait(250).name) == 1
    back = (await basket.next()).message
    assert {**back.headers, **FULL.headers} == back.headers
    assert replace(back, headers={}) == replace(FULL, headers={})


@pytest.mark.parametrize("delay_s", [0.25, 0.3, 0.6, 1.2])
async def test_a_message_for_later_comes_no_earlier_and_hardly_later(broker: Broker, delay_s: float) -> None:
    basket = await consuming(broker)
    began = time.monotonic()
    await broker.publish_later(FULL, delay_s)
    await basket.next()
    assert delay_s <= time.monotonic() - began < delay_s + 1


async def test_a_message_for_later_waits_for_those_before_it_but_no_longer_than_its_tier(broker: Broker) -> None:
    basket = await consuming(broker)
    began = time.monotonic()
    await broker.publish_later(Message(b"long"), 2)
    await broker.publish_later(Message(b"short"), 1.1)
    assert [(await basket.next()).message.body for _ in range(2)] == [b"long", b"short"]
    assert 2 <= time.monotonic() - began < 3


@pytest.mark.parametrize("delay_s", [0, -1])
async def test_a_message_for_now_comes_at_once(broker: Broker, delay_s: float) -> None:
    basket = await consuming(broker)
    await broker.publish_later(FULL, delay_s)
    assert (await basket.next()).message.body == FULL.body


async def test_what_is_settled_is_not_settled_again(broker: Broker) -> None:
    basket = await consuming(broker, prefetch=1)
    for _ in range(3):
        await broker.publish_job(FULL)
    for _ in range(3):
        delivery = await basket.next()
        await delivery.acknowledge()
        # The broker would close the channel, and deliver all that is in hand again.
        await delivery.acknowledge()
        await delivery.give_back()
        assert not delivery.redelivered


async def test_a_tier_that_was_deleted_is_declared_again(broker: Broker, publisher: Publisher) -> None:
    basket = await consuming(broker)
    for _ in range(2):
        await broker.publish_later(FULL, 0.2)
        assert (await basket.next()).message.message_id == FULL.message_id
        publisher.channel().queue_delete(broker.topology.wait(250).name)


async def test_the_brokers_own_headers_are_not_sent_on(broker: Broker, publisher: Publisher) -> None:
    basket = await consuming(broker)
    await broker.publish_later(FULL, 0.2)
    came_back = (await basket.next()).message
    assert "x-first-death-reason" in came_back.headers
    own: dict[str, HeaderValue] = {
        "x-delivery-count": 3,
        "x-acquired-count": 3,
        "x-death": "a",
        "x-last-death-queue": "b",
    }
    elsewhere = publisher.channel().queue_declare("", exclusive=True).method.queue
    await broker.publish_to(elsewhere, replace(came_back, headers={**came_back.headers, **own}))
    assert set(publisher.take(elsewhere)[0].headers) == set(FULL.headers)


async def test_headers_that_are_too_long_for_a_frame_are_left_out(broker: Broker, publisher: Publisher) -> None:
    """The broker would close the connection, each time that it is tried."""
    long: dict[str, HeaderValue] = {"long": "x" * 110_000, "longer": "ü" * 60_000, "x-attempt": 1}
    await broker.publish_dead(replace(FULL, headers=long))
    kept = publisher.take(broker.topology.dead.name)[0].headers
    assert {name: kept.get(name) for name in long} == {**long, "longer": None}
    many: dict[str, HeaderValue] = {f"{number}-{'n' * 200}": None for number in range(1000)}
    await broker.publish_dead(replace(FULL, headers=many))
    assert 500 < len(publisher.take(broker.topology.dead.name)[0].headers) < 600


async def test_dead_letters_are_kept_though_their_queue_was_deleted(broker: Broker, publisher: Publisher) -> None:
    publisher.channel().queue_delete(broker.topology.dead.name)
    await broker.publish_dead(FULL)
    assert publisher.take(broker.topology.dead.name)[1] == FULL.body


async def test_a_delivery_knows_how_often_it_came_back(broker: Broker, settings: BrokerSettings) -> None:
    """The quorum queue at hand is that of the dead letters, of which each look counts as a return."""
    await broker.publish_to(broker.topology.dead.name, FULL)
    for returns in range(3):
        async with inspecting(settings, "a-test") as inspection:
            assert [delivery.returns async for delivery in inspection.deliveries()] == [returns]


async def test_the_dead_letter_queue_keeps_a_message_as_it_was(broker: Broker, publisher: Publisher) -> None:
    await broker.publish_to(broker.topology.dead.name, FULL)
    properties, body = publisher.take(broker.topology.dead.name)
    assert (body, properties.message_id, properties.reply_to) == (FULL.body, FULL.message_id, FULL.reply_to)
    assert properties.headers["x-attempt"] == 2


async def test_an_acknowledged_message_is_gone_and_one_given_back_comes_again(broker: Broker) -> None:
    basket = await consuming(broker)
    await broker.publish_job(FULL)
    await (await basket.next()).give_back()
    again = await basket.next()
    assert again.redelivered
    await again.acknowledge()
    await broker.stop_consuming()
    assert await broker.depth(broker.topology.queue) == 0


async def test_never_more_than_the_prefetch_are_in_hand(broker: Broker) -> None:
    basket = await consuming(broker, prefetch=3)
    for _ in range(7):
        await broker.publish_job(FULL)

    async def the_rest_waits() -> bool:
        return await broker.depth(broker.topology.queue) == 4

    await eventually(the_rest_waits)
    assert len(basket.deliveries) == 3
    await (await basket.next()).acknowledge()
    await eventually(lambda: len(basket.deliveries) == 4)


async def test_a_consumer_that_has_stopped_gets_nothing_but_settles_what_it_has(broker: Broker) -> None:
    basket = await consuming(broker, prefetch=1)
    await broker.publish_job(FULL)
    held = await basket.next()
    await broker.stop_consuming()
    await broker.publish_job(FULL)
    await held.acknowledge()
    assert await broker.depth(broker.topology.queue) == 1
    assert len(basket.deliveries) == 1


async def test_what_a_closed_connection_held_comes_to_another(broker: Broker, new_broker: NewBroker) -> None:
    other = await new_broker()
    await other.connect()
    held = await consuming(other)
    await broker.publish_job(FULL)
    await held.next()
    await other.aclose()
    delivery = await (await consuming(broker)).next()
    # A quorum queue, as RabbitMQ 4 may make it, adds how often it got the message back.
    published = {name: value for name, value in delivery.message.headers.items() if name != "x-delivery-count"}
    assert (replace(delivery.message, headers=published), delivery.redelivered) == (FULL, True)


async def test_many_publishes_at_once_are_all_confirmed(broker: Broker) -> None:
    await asyncio.gather(*(broker.publish_job(FULL) for _ in range(200)))

    async def all_there() -> bool:
        return await broker.depth(broker.topology.queue) == 200

    await eventually(all_there)


async def test_before_it_is_connected_nothing_is_accepted(new_broker: NewBroker) -> None:
    unconnected = await new_broker()
    for operation in (unconnected.publish_job(FULL), unconnected.check(), unconnected.depth("a-queue")):
        with pytest.raises(BrokerUnavailable):
            await operation
    with contextlib.suppress(BrokerUnavailable):
        await unconnected.stop_consuming()
