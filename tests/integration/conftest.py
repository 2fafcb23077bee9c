"""Clients of the real broker, in a place of each test's own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from common.broker import Broker
from common.settings import BrokerSettings
from tests.deployment import Place
from tests.integration.broker_clients import NewBroker, Publisher


@pytest.fixture
async def new_broker(place: Place) -> AsyncIterator[NewBroker]:
    """Makes a client of the broker that is not connected yet."""
    async with AsyncExitStack() as stack:

        async def _new_broker(url: str | None = None, timeout_s: float = 5, retry_delay_s: float = 0.2) -> Broker:
            settings = BrokerSettings.model_validate(
                {
                    "amqp_url": url or place.environment["AMQP_URL"],
                    "amqp_exchange": place.exchange,
                    "amqp_queue": place.queue,
                    "broker_timeout_s": timeout_s,
                    "retry_delay_s": retry_delay_s,
                }
            )
            return await stack.enter_async_context(aclosing(Broker(settings, "a-test")))

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
