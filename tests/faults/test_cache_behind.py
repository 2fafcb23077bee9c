"""A cache that comes back and knows less than polls have told meanwhile."""

import asyncio

from tests.faults.clients import Clients
from tests.faults.readiness import start
from tests.waiting import eventually


async def test_an_end_that_was_told_while_redis_was_away_stays_told_when_it_knows_nothing_of_it(
    clients: Clients,
) -> None:
    fleet, upstream = clients.fleet, clients.ledger.upstream
    upstream.answers.clear()
    job = await clients.submit()
    await eventually(lambda: job.rank == 1)

    fleet.servers.redis.kill()
    upstream.answers.set()
    await eventually(lambda: job.terminal, timeout_s=30)
    await clients.audit()  # each reader has told it
    for worker in fleet.workers:  # none of them tells Redis
        fleet.freeze(worker)
    await start(fleet.servers.redis)
    for _ in range(8):
        await clients.audit()
        await asyncio.sleep(0.3)
    for worker in fleet.workers:
        worker.process.thaw()

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
