"""Everything that an upstream can do to a call, to one job each: how the job ends, and what it costs."""

from collections import Counter

from tests.faults.clients import Clients
from tests.faults.upstream import FATES, PERMANENT, TRANSIENT

#: How much later than the first call the second one may be made at the earliest.
ASKED_TO_WAIT_S = {"429-seconds": 1.0, "429-milliseconds": 0.3, "429-date": 1.0}


async def test_each_failure_ends_as_its_class_says_and_costs_no_call_too_many(clients: Clients) -> None:
    load = clients.submit_at(5)
    jobs = [await clients.submit(fate) for fate in (*TRANSIENT, *PERMANENT)]
    load.cancel()
    assert await clients.settled(30) is not None

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
    asked = clients.ledger.upstream.asked
    calls = {job.fate: len(asked[job.prompt]) for job in jobs}
    assert calls == {fate: len(FATES[fate].bad) + (FATES[fate].end == "completed") for fate in calls}
    for job in jobs:
        if job.fate in ASKED_TO_WAIT_S:
            first, second = asked[job.prompt]
            assert second.at - first.at >= ASKED_TO_WAIT_S[job.fate], job.fate
    ends = Counter(FATES[job.fate].end for job in jobs)
    assert all(verdict.ended[end] >= count for end, count in ends.items())
