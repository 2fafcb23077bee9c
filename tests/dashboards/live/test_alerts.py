"""Each alert fires when what it warns of is caused, for real, and ends when that is mended; until then none does.

The tests share one system and follow each other: each begins when no alert fires.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aio_pika
import pytest

from stack import replies
from stack.process import Process
from tests.client import Application
from tests.dashboards.files import alerts
from tests.dashboards.live.scraped import Scraped
from tests.operators import INVALID, Operator
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)
PATIENCE_S = 90


@pytest.fixture(autouse=True)
async def quiet(system: Scraped) -> AsyncIterator[None]:
    """All processes are ready and no alert is near when a test begins, and the model answers."""
    system.stub.respond = replies.echo(0.05)
    await eventually(lambda: _all_is_well(system), PATIENCE_S)
    yield
    system.stub.respond = replies.echo(0.05)


async def _all_is_well(system: Scraped) -> bool:
    ready = await system.prometheus.query("count(gpt_jobs_ready == 1) == count(up{container!=''})")
    return bool(ready) and not await system.prometheus.alerts("firing", "pending")


async def fires(system: Scraped, *names: str) -> None:
    """All of these do, with texts in which nothing is left to fill in."""

    async def do() -> bool:
        return set(names) <= set(await system.prometheus.alerts("firing"))

    await eventually(do, PATIENCE_S)
    for name, texts in (await system.prometheus.alerts("firing")).items():
        assert all("{{" not in text and "no value" not in text for text in texts.values()), (name, texts)


async def submit(system: Scraped, count: int) -> list[str]:
    return [(await system.client.submit(msg=f"question {number}"))["id"] for number in range(count)]


async def until_answered(system: Scraped, ids: list[str]) -> None:
    await asyncio.gather(*(system.client.result(job_id) for job_id in ids))


@contextmanager
def stopped(*processes: Process) -> Iterator[None]:
    with ExitStack() as stack:
        for process in processes:
            process.stop()
            stack.callback(process.start)
        yield


async def test_none_fires_while_all_is_well(system: Scraped) -> None:
    for _ in range(12):
        await until_answered(system, await submit(system, 2))
        await asyncio.sleep(1)  # the time in which none fires is what is tested
        assert await system.prometheus.alerts("firing") == {}


async def test_a_backlog_that_grows_and_its_oldest_job(system: Scraped) -> None:
    gate = asyncio.Event()
    system.stub.respond = replies.after(gate, replies.echo())
    ids: list[str] = []

    async def both_fire() -> bool:
        ids.extend(await submit(system, 2))
        names = {"GptJobsBacklogGrows", "GptJobsOldestJobTooOld"}
        return names <= set(await system.prometheus.alerts("firing"))

    await eventually(both_fire, PATIENCE_S)
    gate.set()
    await until_answered(system, ids)


async def test_slots_that_are_all_taken(system: Scraped) -> None:
    gate = asyncio.Event()
    system.stub.respond = replies.after(gate, replies.echo())
    ids = await submit(system, 8)
    await fires(system, "GptJobsSlotsSaturated")
    gate.set()
    await until_answered(system, ids)


async def test_a_dead_letter(system: Scraped) -> None:
    async with await aio_pika.connect(system.place.environment["AMQP_URL"]) as connection:
        await Application(system.place, connection).publish(INVALID)
    await fires(system, "GptJobsDeadLetters")
    await _purge(system)


async def _purge(system: Scraped) -> None:
    purged = await Operator(system.place).dead("purge", "--all", "--yes")
    assert purged.status == 0, purged.err


async def test_an_upstream_that_fails(system: Scraped) -> None:
    system.stub.respond = replies.status(500)
    ids = await submit(system, 8)
    await fires(system, "GptJobsUpstreamFailing")
    await until_answered(system, ids)
    await _purge(system)


async def test_a_request_that_the_upstream_refuses_is_no_failure_of_the_upstream(system: Scraped) -> None:
    system.stub.respond = replies.status(400)
    for _ in range(5):
        await until_answered(system, await submit(system, 2))
        await asyncio.sleep(1)
        assert "GptJobsUpstreamFailing" not in await system.prometheus.alerts("firing")


async def test_no_consumer_and_pods_that_are_gone(system: Scraped) -> None:
    with stopped(*(worker.process for worker in system.workers)):
        await fires(system, "GptJobsNoConsumer", "GptJobsPodsNotReady")


async def test_a_store_that_is_away(system: Scraped) -> None:
    with stopped(system.servers.mongodb):
        await fires(system, "GptJobsStoreUnavailable")


async def test_a_cache_that_is_away(system: Scraped) -> None:
    with stopped(system.servers.redis):
        await fires(system, "GptJobsCacheUnavailable")


async def test_a_broker_that_is_away(system: Scraped) -> None:
    with stopped(system.servers.rabbitmq):
        await fires(system, "GptJobsBrokerUnavailable")


def test_each_alert_is_caused_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert {alert["alert"] for alert in alerts()} == set(re.findall(r'"(GptJobs\w+)"', here))
