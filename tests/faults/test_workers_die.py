"""Workers that die with many jobs in hand, or by a message that kills each one, and workers that are told twice."""

import asyncio
import signal

from tests.deployment import Service
from tests.faults.clients import Clients
from tests.faults.conftest import Founder
from tests.faults.fleet import Size
from tests.faults.upstream import DEADLY
from tests.operators import Operator
from tests.waiting import eventually


async def test_five_hundred_jobs_in_the_hands_of_five_workers_that_are_all_killed(found: Founder) -> None:
    patient = {"BROKER_TIMEOUT_S": "5", "CACHE_TIMEOUT_S": "4", "STORE_TIMEOUT_S": "4"}
    clients = await found(Size(gateways=2, readers=1, workers=5), PREFETCH="100", **patient)
    upstream = clients.ledger.upstream
    upstream.answers.clear()
    for _ in range(10):
        await asyncio.gather(*(clients.submit() for _ in range(50)))
    await eventually(lambda: len(upstream.asked) == 500, timeout_s=60)

    for worker in clients.fleet.workers:
        clients.fleet.kill(worker)
    upstream.answers.set()
    await clients.fleet.mend()
    in_time = await clients.settled(60)

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
    assert in_time is not None
    assert verdict.ended["completed"] == 500
    assert verdict.calls <= 500 + 500


async def test_a_message_that_kills_its_worker_every_time_ends_among_the_dead_letters(found: Founder) -> None:
    clients = await found(Size(gateways=1, readers=1, workers=2), MAX_ATTEMPTS="2")
    deadly = await clients.submit(DEADLY)
    asked = clients.ledger.upstream.asked[deadly.prompt]

    for attempt in (1, 2):
        await eventually(lambda: len(asked) == attempt, timeout_s=40)  # noqa: B023 (awaited within the turn)
        clients.fleet.kill(_worker_with(clients, asked[-1].key))
        await clients.submit()
        await clients.fleet.mend()
    in_time = await clients.settled(60)

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
    assert in_time is not None
    assert len(asked) == 2
    assert verdict.ended == {"attempts_exhausted": 1, "completed": 2}
    (letter,) = await Operator(clients.fleet.place).listed()
    assert (letter["id"], letter["code"], letter["attempts"]) == (deadly.id, "attempts_exhausted", 2)


async def test_a_second_sigterm_gives_back_at_once_what_the_first_one_let_finish(found: Founder) -> None:
    clients = await found(Size(gateways=1, readers=1, workers=1), JOB_TIMEOUT_S="100")
    upstream, (worker,) = clients.ledger.upstream, clients.fleet.workers
    upstream.answers.clear()
    job = await clients.submit()
    await eventually(lambda: upstream.asked[job.prompt])

    # What is given back is called again: that is what whoever signals twice wants.
    clients.fleet.lose_hands(worker)
    worker.process.signal(signal.SIGTERM)
    await eventually(lambda: '"draining"' in worker.logged())
    await asyncio.sleep(0.5)
    assert worker.process.running
    await clients.fleet.terminate(worker)
    upstream.answers.set()
    await clients.fleet.mend()
    in_time = await clients.settled(10)

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
    assert in_time is not None
    assert len(upstream.asked[job.prompt]) == 2


def _worker_with(clients: Clients, key: str) -> Service:
    return next(
        worker for worker in clients.fleet.workers if worker.process.program.environment["OPENAI_API_KEY"] == key
    )
