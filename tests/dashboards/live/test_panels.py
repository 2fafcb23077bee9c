"""After a short load of every kind, each query of each panel has something to show."""

import math

import pytest

from tests.dashboards.files import Query, queries
from tests.dashboards.live.load import put_on
from tests.dashboards.live.scraped import Scraped

pytestmark = pytest.mark.timeout(300)
LOAD = (40, 6)  # seconds, and jobs in each
INTERVAL = "60s"


@pytest.fixture(scope="module")
async def loaded(system: Scraped) -> Scraped:
    """The system, which has just had every kind of job and poll."""
    await put_on(system, LOAD)
    return system


@pytest.mark.parametrize("query", queries(), ids=lambda query: f"{query.dashboard}-{query.panel}")
async def test_it_has_data(loaded: Scraped, query: Query) -> None:
    result = await loaded.prometheus.query(query.substituted(INTERVAL))
    assert result, str(query)
    assert any(math.isfinite(float(series["value"][1])) for series in result), (str(query), result)


async def test_the_values_of_the_variables_can_be_found(loaded: Scraped) -> None:
    for label, value in (("namespace", "shop"), ("app_kubernetes_io_instance", "answers")):
        result = await loaded.prometheus.query(f"count by ({label}) (gpt_jobs_ready)")
        assert [series["metric"] for series in result] == [{label: value}]
