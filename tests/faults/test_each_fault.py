"""Each fault of the table, with load running before, during and after it: the promise is kept."""

import asyncio

import pytest

from tests.faults.clients import Clients
from tests.faults.faults import FAULTS, Fault

JOBS_PER_SECOND = 8
HEALED_WITHIN_S = 60


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items() if fault.in_tests])
async def test_the_promise_is_kept(fault: Fault, clients: Clients) -> None:
    load = clients.submit_at(JOBS_PER_SECOND)
    await clients.until_accepted(10)

    async with fault.hits(clients):
        await asyncio.sleep(fault.lasts_s[0])
    await asyncio.sleep(1)
    load.cancel()
    in_time = await clients.settled(HEALED_WITHIN_S)
    await clients.audit()

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
    assert in_time is not None
    assert verdict.ended["completed"] > 5
