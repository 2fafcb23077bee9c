"""One system that is scraped, for all tests."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from tests.dashboards.live.scraped import Scraped, scraped

#: So small that nobody has to wait for long.
THRESHOLDS = {
    "backlogGrows": {"jobs": 5, "window": "12s", "for": "2s"},
    "oldestJobTooOld": {"seconds": 8, "for": "1s"},
    "deadLetters": {"messages": 0, "for": "1s"},
    "noConsumer": {"for": "1s"},
    "upstreamFailing": {"ratio": 0.5, "window": "15s", "for": "2s"},
    "slotsSaturated": {"ratio": 0.95, "for": "8s"},
    "serverUnavailable": {"for": "2s"},
    "podsNotReady": {"for": "2s"},
}


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory, http: ClientSession) -> AsyncIterator[Scraped]:
    """Real servers, the services, and a Prometheus that scrapes them."""
    async with scraped(tmp_path_factory.mktemp("scraped"), http, THRESHOLDS) as running:
        yield running
