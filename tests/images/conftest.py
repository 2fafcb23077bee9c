"""The fixtures of the tests of processes, with containers instead."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from stack.model_stub import ModelStub
from tests.client import Client
from tests.deployment import Place, Servers
from tests.images.release import Container, Release


@pytest.fixture
def deployment(place: Place, stub: ModelStub, tmp_path: Path) -> Iterator[Release]:
    """Containers of this test's own, in its place and with its upstream."""
    started = Release(place, stub.base_url, tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="session")
async def containers(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Container]]:
    """One of each service, with default settings, for all tests."""
    async with ModelStub() as stub:
        release = Release(Place.on(servers), stub.base_url, tmp_path_factory.mktemp("containers"))
        try:
            yield {
                "gateway": release.gateway(),
                "gpt-worker": release.worker(),
                "result-reader": release.reader(),
            }
        finally:
            release.stop()


@pytest.fixture(scope="session")
def system(containers: dict[str, Container], http: ClientSession) -> Client:
    """A client of these."""
    return Client(http, containers["gateway"], containers["result-reader"])
