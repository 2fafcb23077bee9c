"""A broker that does not answer is said to be unavailable, within the timeout; one that comes back is used again."""

import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from common.broker import Broker
from common.errors import BrokerUnavailable
from common.lifecycle import background
from common.messages import Message
from stack import ports, servers
from stack.process import Process
from tests.integration.broker_clients import NewBroker, consuming
from tests.waiting import eventually

TIMEOUT_S = 1.0
CALLS: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "publish_job": lambda broker: broker.publish_job(Message(b"{}")),
    "publish_to": lambda broker: broker.publish_to(broker.topology.dead.name, Message(b"{}")),
    "publish_later": lambda broker: broker.publish_later(Message(b"{}"), 60),
    "depth": lambda broker: broker.depth(broker.topology.queue),
    "check": lambda broker: broker.check(),
    "declare": lambda broker: broker.declare(),
}


@pytest.fixture(scope="module", name="own_rabbitmq")
def running_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that only these tests stop and freeze."""
    home = tmp_path_factory.mktemp("own-rabbitmq")
    port, epmd_port, distribution_port = ports.free_ports(3)
    program = servers.rabbitmq(home / "rabbitmq", port, epmd_port=epmd_port, distribution_port=distribution_port)
    epmd = Process(servers.epmd(home / "epmd", epmd_port), home / "epmd.log")
    with epmd, Process(program, home / "rabbitmq.log") as process:
        yield process


async def unavailable_in_time(awaited: Awaitable[object]) -> None:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await awaited
    assert time.monotonic() - began < TIMEOUT_S + 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_broker_that_is_frozen(
    new_broker: NewBroker, own_rabbitmq: Process, call: Callable[[Broker], Awaitable[object]]
) -> None:
    broker = await new_broker(own_rabbitmq.program.url, TIMEOUT_S)
    await broker.connect()
    own_rabbitmq.freeze()
    try:
        await unavailable_in_time(call(broker))
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
            await unavailable_in_time(call(broker))
        await before.acknowledge()  # too late, and no error
        own_rabbitmq.start()
        again = await basket.next(30)
        assert (again.message.body, again.redelivered) == (b"before", True)
        await again.acknowledge()
        await eventually_published(broker)


async def eventually_published(broker: Broker) -> None:
    async def published() -> bool:
        try:
            await broker.publish_job(Message(b"after"))
        except BrokerUnavailable:
            return False
        return True

    await eventually(published, 30)
