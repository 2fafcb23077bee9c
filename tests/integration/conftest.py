"""Clients of the real broker, in a place of each test's own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing

import pytest
from pydantic import SecretStr

from common.broker import Broker
from common.settings import BrokerSettings
from stack import ports, servers
from stack.process import Process
from tests.deployment import Place
from tests.integration.broker_clients import NewBroker, Publisher


@pytest.fixture
def batching() -> bool:
    """Which of the two ways to publish; those who test publishing take both (see BOTH_WAYS)."""
    return True


@pytest.fixture
def settings(place: Place, batching: bool) -> BrokerSettings:
    """How to reach the broker that all tests share, and this test's names there."""
    names = {"amqp_exchange": place.exchange, "amqp_queue": place.queue, "broker_batching": batching}
    return BrokerSettings.model_validate({"amqp_url": place.environment["AMQP_URL"], **names})


@pytest.fixture(scope="module", name="own_rabbitmq")
def running_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that only the tests of one module stop, freeze and command."""
    home = tmp_path_factory.mktemp("own-rabbitmq")
    port, epmd_port, distribution_port = ports.free_ports(3)
    program = servers.rabbitmq(home / "rabbitmq", port, epmd_port=epmd_port, distribution_port=distribution_port)
    epmd = Process(servers.epmd(home / "epmd", epmd_port), home / "epmd.log")
    with epmd, Process(program, home / "rabbitmq.log") as process:
        yield process


@pytest.fixture
async def new_broker(settings: BrokerSettings) -> AsyncIterator[NewBroker]:
    """Makes a client of the broker that is not connected yet."""
    async with AsyncExitStack() as stack:

        async def _new_broker(url: str | None = None, timeout_s: float = 5) -> Broker:
            changed = {"amqp_url": SecretStr(url) if url else settings.amqp_url, "broker_timeout_s": timeout_s}
            return await stack.enter_async_context(aclosing(Broker(settings.model_copy(update=changed), "a-test")))

        yield _new_broker


@pytest.fixture
async def broker(new_broker: NewBroker) -> Broker:
    made = await new_broker()
    await made.connect()
    return made


@pytest.fixture
async def publisher(place: Place, broker: Broker) -> AsyncIterator[Publisher]:
    """A publisher that is not ours, once the topology is there."""
    assert broker.topology.queue == place.queue
    with Publisher(place.environment["AMQP_URL"]) as other:
        yield other
