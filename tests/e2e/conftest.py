"""Systems that several tests share: the three services as processes, started once."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from stack.model_stub import ModelStub
from tests.client import Client
from tests.deployment import Deployment, Place, Servers
from tests.operators import Operator


@pytest.fixture(scope="session")
async def system_stub() -> AsyncIterator[ModelStub]:
    """The upstream of the shared systems; who changes its behaviour puts it back."""
    async with ModelStub() as running:
        yield running


@pytest.fixture(scope="session", name="system_deployment")
async def shared_deployment(
    servers: Servers, system_stub: ModelStub, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """Where the shared services with default settings run."""
    deployment = Deployment(Place.on(servers), system_stub.base_url, tmp_path_factory.mktemp("system"))
    yield deployment
    deployment.stop()


@pytest.fixture(scope="session")
async def system(system_deployment: Deployment, http: ClientSession) -> Client:
    """A client of three services with default settings."""
    system_deployment.worker()
    return Client(http, system_deployment.gateway(), system_deployment.reader())


@pytest.fixture(scope="session")
async def impatient_system(
    servers: Servers, system_stub: ModelStub, http: ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    """A client of three services that make one attempt only."""
    deployment = Deployment(Place.on(servers), system_stub.base_url, tmp_path_factory.mktemp("impatient"))
    deployment.worker(MAX_ATTEMPTS="1")
    yield Client(http, deployment.gateway(), deployment.reader())
    deployment.stop()


@pytest.fixture
def operator(place: Place) -> Operator:
    """Who looks after the dead letters of this test's place."""
    return Operator(place)


@pytest.fixture
def impatient(deployment: Deployment, http: ClientSession) -> Client:
    """A client of three services of this test's own that make one attempt only."""
    deployment.worker(MAX_ATTEMPTS="1", PREFETCH="50")
    return Client(http, deployment.gateway(), deployment.reader())
