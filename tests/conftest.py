"""What tests of several levels share: the servers, a place of one's own on them, the model stub, a client."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aio_pika
import hypothesis
import pytest
from aiohttp import ClientSession, TCPConnector

from stack.model_stub import ModelStub
from tests.client import Application
from tests.deployment import Deployment, Place, Servers

# How long an example takes says something about the machine only.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session", name="servers")
def running_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """RabbitMQ, Redis and MongoDB, started once for all tests and stopped at the end."""
    with Servers.running(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture
def place(servers: Servers) -> Place:
    """Names of this test's own."""
    return Place.on(servers)


@pytest.fixture
async def stub() -> AsyncIterator[ModelStub]:
    """An upstream of this test's own."""
    async with ModelStub() as running:
        yield running


@pytest.fixture
def deployment(place: Place, stub: ModelStub, tmp_path: Path) -> Iterator[Deployment]:
    """Services of this test's own, in its place and with its upstream."""
    started = Deployment(place, stub.base_url, tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[ClientSession]:
    """An HTTP client."""
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
async def application(place: Place) -> AsyncIterator[Application]:
    """Another application on the broker."""
    connection = await aio_pika.connect(place.environment["AMQP_URL"])
    async with connection:
        yield Application(place, connection)
