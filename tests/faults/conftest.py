"""Servers that may be stopped, frozen and wiped, and a fleet of services on them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest

from stack.model_stub import ModelStub
from tests.deployment import Place, Servers
from tests.faults.clients import Clients
from tests.faults.fleet import SETTINGS, Fleet, Size, hasty
from tests.faults.ledger import Ledger
from tests.faults.upstream import Upstream


@pytest.fixture(scope="session")
def mortal_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """RabbitMQ, Redis and MongoDB for these tests alone; each test leaves them well."""
    with Servers.running(tmp_path_factory.mktemp("mortal")) as servers:
        yield servers


@pytest.fixture(scope="session")
async def upstream_stub() -> AsyncIterator[ModelStub]:
    """The upstream of the fleet; each test tells it what to answer."""
    async with ModelStub(keep_calls=False) as running:
        yield running


@pytest.fixture(scope="session", name="fleet")
async def running_fleet(
    mortal_servers: Servers, upstream_stub: ModelStub, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """Several services of each kind, all in one place."""
    directory = tmp_path_factory.mktemp("fleet")
    fleet = Fleet(mortal_servers, hasty(Place.on(mortal_servers)), upstream_stub.base_url, directory)
    try:
        await fleet.start(Size())
        yield fleet
    finally:
        await fleet.stop()


@pytest.fixture
async def clients(fleet: Fleet, upstream_stub: ModelStub) -> AsyncIterator[Clients]:
    """Clients with a ledger of this test's own."""
    upstream = Upstream()
    upstream_stub.respond = upstream.respond
    fleet.bad_ends.clear()
    async with Clients(fleet, Ledger(upstream)) as running:
        yield running
    await fleet.mend()


class Founder(Protocol):
    """Starts a fleet with settings of its own, and gives its clients."""

    async def __call__(self, size: Size, **settings: str) -> Clients: ...


@pytest.fixture
async def found(servers: Servers, tmp_path: Path) -> AsyncIterator[Founder]:
    """A fleet of the test's own, on the servers that no test harms."""
    async with AsyncExitStack() as stack:

        async def start(size: Size, **settings: str) -> Clients:
            upstream = Upstream()
            stub = await stack.enter_async_context(ModelStub(upstream.respond, keep_calls=False))
            fleet = Fleet(servers, hasty(Place.on(servers)), stub.base_url, tmp_path, {**SETTINGS, **settings})
            stack.push_async_callback(fleet.stop)
            await fleet.start(size)
            return await stack.enter_async_context(Clients(fleet, Ledger(upstream)))

        yield start
