"""A submission that the broker does not confirm: the client hears so in time, and no worker takes the job up."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack

import pytest
import redis.asyncio
from aiohttp import ClientSession
from yarl import URL

from stack.model_stub import ModelStub
from stack.tcp_proxy import TcpProxy
from tests.client import Answer, Application, Client
from tests.deployment import Deployment, Place, Service
from tests.waiting import eventually

BROKER_TIMEOUT_S, CACHE_TIMEOUT_S = 1.0, 0.5
LONGEST_S = BROKER_TIMEOUT_S + 2 * CACHE_TIMEOUT_S
#: What a busy machine may add.
SLACK_S = 1.5
TIMEOUTS = {"BROKER_TIMEOUT_S": str(BROKER_TIMEOUT_S), "CACHE_TIMEOUT_S": str(CACHE_TIMEOUT_S)}
FORTUNE = {"gender": "男", "birth": "1990-01-31"}


class Lines:
    """The connections between the gateway and its servers, each of which can be stalled."""

    def __init__(self, place: Place, to_broker: TcpProxy, to_cache: TcpProxy) -> None:
        self.to_broker = to_broker
        self.to_cache = to_cache
        self._settings = TIMEOUTS | {
            "AMQP_URL": str(URL(place.environment["AMQP_URL"]).with_port(to_broker.port)),
            "REDIS_URL": str(URL(place.environment["REDIS_URL"]).with_port(to_cache.port)),
        }

    async def gateway(self, deployment: Deployment, **settings: str) -> Service:
        """A gateway that uses these connections, which our own loop must serve while it starts."""
        gateway = await asyncio.to_thread(deployment.gateway, **self._settings | settings)
        await eventually(lambda: '"broker_connected"' in gateway.logged())
        return gateway


@pytest.fixture
async def lines(place: Place) -> AsyncIterator[Lines]:
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(TcpProxy(URL(place.environment[name]).port or 0))
            for name in ("AMQP_URL", "REDIS_URL")
        ]
        yield Lines(place, *proxies)


async def test_a_broker_that_is_silent_is_told_in_time_and_its_jobs_are_withdrawn(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession, lines: Lines
) -> None:
    gateway = await lines.gateway(deployment)
    client = Client(http, gateway, deployment.reader())
    lines.to_broker.stall()

    answers = await asyncio.gather(
        *(timed(client.post("/v1/jobs", {"msg": str(number)})) for number in range(20)),
        timed(client.post("/predict/start", FORTUNE)),
    )

    for answer in answers:
        assert_unavailable(answer)
    assert await gateway.metric(http, "gpt_jobs_refused_total", code="broker_unavailable") == 21
    for job_id in await recorded(deployment.place):
        assert (await client.poll(job_id)).status == 404

    await lines.to_broker.heal()
    await eventually(lambda: depth_is(application, 21))
    worker = deployment.worker()
    record = await client.submit(msg="after")
    assert (await client.result(record["id"]))["status"] == "completed"
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="withdrawn") == 21
    assert len(stub.calls) == 1


async def test_a_job_whose_confirm_is_late_is_accepted_if_a_worker_has_it(
    deployment: Deployment, stub: ModelStub, http: ClientSession, lines: Lines
) -> None:
    gateway = await lines.gateway(deployment, BROKER_TIMEOUT_S="5")
    client = Client(http, gateway, deployment.reader())
    deployment.worker()
    # The message comes to the worker two seconds before the timeout, and the confirm comes after it.
    lines.to_broker.delay_s = 3

    record = await client.submit(msg="hello")

    assert '"job_taken_unconfirmed"' in gateway.logged()
    assert (await client.result(record["id"]))["output_text"] == "You said: hello"
    assert len(stub.calls) == 1


async def test_broker_and_cache_that_are_silent_are_told_in_time_and_jobs_are_withdrawn_once_the_cache_is_back(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession, lines: Lines
) -> None:
    gateway = await lines.gateway(deployment)
    client = Client(http, gateway, deployment.reader())
    lines.to_broker.stall()
    lines.to_cache.stall()

    answers = await asyncio.gather(*(timed(client.post("/v1/jobs", {"msg": str(number)})) for number in range(20)))

    for answer in answers:
        assert_unavailable(answer)
    assert gateway.logged().count('"job_not_withdrawn"') == 20

    await lines.to_cache.heal()
    await eventually(lambda: withdrawn_are(deployment.place, 20))
    await lines.to_broker.heal()
    await eventually(lambda: depth_is(application, 20))
    worker = deployment.worker()
    record = await client.submit(msg="after")
    assert (await client.result(record["id"]))["status"] == "completed"
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="withdrawn") == 20
    assert len(stub.calls) == 1


async def test_a_queue_that_refuses_is_told_and_its_job_is_withdrawn(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    await application.delete_job_queue()
    await application.declare_full()

    # A quorum queue takes a few more than it may.
    answers = [await timed(client.post("/v1/jobs", {"msg": "hello"})) for _ in range(5)]

    accepted = {answer.body["id"] for answer, _ in answers if answer.status == 202}
    assert len(accepted) == await application.depth() < 3
    for timed_answer in answers[len(accepted) :]:
        assert_unavailable(timed_answer)
    withdrawn = set(await recorded(deployment.place)) - accepted
    assert len(withdrawn) == 5 - len(accepted)
    for job_id in withdrawn:
        assert (await client.poll(job_id)).status == 404


async def test_a_client_that_does_not_wait_for_the_answer_has_its_job_all_the_same(
    deployment: Deployment, application: Application, http: ClientSession, lines: Lines
) -> None:
    gateway = await lines.gateway(deployment, BROKER_TIMEOUT_S="20")
    client = Client(http, gateway, deployment.reader())
    lines.to_broker.stall()
    submission = asyncio.create_task(client.post("/v1/jobs", {"msg": "hello"}))
    await eventually(lambda: recorded(deployment.place))

    submission.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submission
    await lines.to_broker.heal()

    await eventually(lambda: depth_is(application, 1))
    await eventually(client.accepted)
    assert await application.depth() == 1


async def test_a_gateway_that_is_told_to_stop_answers_what_it_has_though_the_broker_is_silent(
    deployment: Deployment, http: ClientSession, lines: Lines
) -> None:
    gateway = await lines.gateway(deployment)
    client = Client(http, gateway, deployment.reader())
    lines.to_broker.stall()
    submissions = [asyncio.create_task(timed(client.post("/v1/jobs", {"msg": str(n)}))) for n in range(20)]
    await eventually(lambda: count_is(deployment.place, 20))

    gateway.process.signal(signal.SIGTERM)

    for answer in await asyncio.gather(*submissions):
        assert_unavailable(answer)
    assert await asyncio.to_thread(gateway.process.wait, 20) == 0


async def timed(answer: Awaitable[Answer]) -> tuple[Answer, float]:
    began = time.monotonic()
    return await answer, time.monotonic() - began


def assert_unavailable(timed_answer: tuple[Answer, float]) -> None:
    answer, seconds = timed_answer
    assert (answer.status, answer.body["error"]["code"]) == (503, "broker_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert seconds < LONGEST_S + SLACK_S


async def depth_is(application: Application, depth: int) -> bool:
    return await application.depth() == depth


async def count_is(place: Place, count: int) -> bool:
    return len(await recorded(place)) == count


async def recorded(place: Place) -> list[str]:
    """The ids of all jobs that the cache knows of."""
    prefix = f"{place.environment['REDIS_PREFIX']}job:"
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"], decode_responses=True) as client:
        return [str(key).removeprefix(prefix) for key in await client.keys(f"{prefix}*")]


async def withdrawn_are(place: Place, count: int) -> bool:
    ids = await recorded(place)
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"], decode_responses=True) as client:
        found = [await client.hgetall(f"{place.environment['REDIS_PREFIX']}job:{job_id}") for job_id in ids]
    return sum(job == {"rank": "2"} for job in found) == count
