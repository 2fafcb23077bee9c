"""A held event loop is noticed."""

import time

from prometheus_client import REGISTRY

from common import loop_lag
from common.upkeep import Upkeep
from tests.waiting import eventually

HELD_S = 0.4


def samples(at_most: str) -> float:
    return REGISTRY.get_sample_value("gpt_jobs_event_loop_lag_seconds_bucket", {"le": at_most}) or 0


async def test_a_lag_is_as_long_as_the_loop_was_held() -> None:
    async with Upkeep().of(lag=loop_lag.sample):
        await eventually(lambda: samples("+Inf") > 0)
        late = samples("+Inf") - samples("0.1")
        # What a callback does that should not: nothing else gets its turn.
        time.sleep(HELD_S)  # noqa: ASYNC251
        await eventually(lambda: samples("+Inf") - samples("0.1") > late)
    assert samples("0.5") == samples("+Inf")
