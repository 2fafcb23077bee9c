"""A consumer that gets nothing more is consuming again within seconds, whatever stopped it."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from common.broker import Broker
from common.lifecycle import background
from common.messages import Message
from stack import servers
from stack.process import Process
from tests.deployment import Place
from tests.integration.broker_clients import NewBroker, Publisher, consuming, rabbitmqctl
from tests.waiting import eventually

SILENCE_S = 0.5

FORGET = """
{ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)),
[ok = gen_server2:call(amqqueue:get_pid(Queue), {basic_cancel, element(1, C), element(2, C), undefined, <<"test">>})
 || C <- rabbit_amqqueue:consumers(Queue)].
"""


@pytest.fixture(name="broker")
async def watched_broker(new_broker: NewBroker, own_rabbitmq: Process) -> Broker:
    broker = await new_broker(own_rabbitmq.program.url)
    await broker.connect()
    return broker


@pytest.fixture
async def watch(broker: Broker) -> AsyncIterator[None]:
    """The consumer of the test is watched, once there is one."""
    async with background(broker.watch(SILENCE_S)):
        yield


@pytest.mark.usefixtures("watch")
async def test_the_queue_is_deleted(broker: Broker, own_rabbitmq: Process, place: Place) -> None:
    basket = await consuming(broker)
    before = renewals()
    with Publisher(own_rabbitmq.program.url) as other:
        other.channel().queue_delete(place.queue)
    await eventually(lambda: renewals() > before)
    await broker.publish_job(Message(b"after"))
    assert (await basket.next()).message.body == b"after"
    await broker.check_consuming()


@pytest.mark.usefixtures("watch")
async def test_the_broker_closes_the_channel_since_it_waits_too_long_for_an_acknowledgement(
    broker: Broker, own_rabbitmq: Process
) -> None:
    await rabbitmqctl(own_rabbitmq, "eval", _environment(consumer_timeout=500, channel_tick_interval=500))
    try:
        basket = await consuming(broker)
        await broker.publish_job(Message(b"long work"))
        held = await basket.next()
        again = await basket.next()
    finally:
        await rabbitmqctl(
            own_rabbitmq, "eval", _environment(consumer_timeout=1_800_000, channel_tick_interval=60_000)
        )
    assert again.redelivered
    await held.acknowledge()


@pytest.mark.usefixtures("watch")
async def test_the_connection_is_closed(broker: Broker, own_rabbitmq: Process) -> None:
    basket = await consuming(broker)
    await broker.publish_job(Message(b"held"))
    held = await basket.next()
    await rabbitmqctl(own_rabbitmq, "close_all_connections", "a test")
    again = await basket.next()
    assert (again.message.body, again.redelivered) == (b"held", True)
    await held.acknowledge()
    await again.acknowledge()


@pytest.mark.skipif(bool(servers.RABBITMQ_ROOT), reason="how to make the broker forget is known for 3.10 only")
@pytest.mark.usefixtures("watch")
async def test_the_broker_forgets_the_consumer_and_nobody_tells(
    broker: Broker, own_rabbitmq: Process, place: Place
) -> None:
    basket = await consuming(broker)
    await broker.publish_job(Message(b"held"))
    held = await basket.next()
    before = renewals()
    await rabbitmqctl(own_rabbitmq, "eval", FORGET % place.queue)
    await broker.check_consuming()
    await broker.publish_job(Message(b"after"))
    came = {(await basket.next()).message.body, (await basket.next()).message.body}
    assert came == {b"held", b"after"}
    assert renewals() == before + 1
    await held.acknowledge()  # on the channel that was closed: no error
    assert broker.is_alive()


async def test_a_consumer_that_was_stopped_is_not_brought_back(broker: Broker) -> None:
    basket = await consuming(broker)
    async with background(broker.watch(SILENCE_S)):
        await broker.publish_job(Message(b"before"))
        await (await basket.next()).acknowledge()
    await broker.stop_consuming()
    await broker.publish_job(Message(b"after"))
    assert await broker.depth(broker.topology.queue) == 1


def renewals() -> float:
    return REGISTRY.get_sample_value("gpt_jobs_watchdog_total", {"watch": "consumer"}) or 0


def _environment(**variables: int) -> str:
    settings = (f"application:set_env(rabbit, {name}, {value})" for name, value in variables.items())
    return ", ".join(settings) + "."
