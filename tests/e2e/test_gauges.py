"""What the gauges and the counters say before, while and after something happens."""

from functools import partial

from aiohttp import ClientSession

from stack.model_stub import ModelStub
from stack.replies import status
from tests.client import Client
from tests.deployment import NOWHERE, Deployment, Service
from tests.waiting import eventually


async def is_at_least(http: ClientSession, service: Service, value: float, name: str, **labels: str) -> bool:
    return await service.metric(http, name, **labels) >= value


async def has(http: ClientSession, service: Service, sample: str) -> bool:
    """Whether the service exports this sample, value included."""
    async with http.get(service.admin_url / "metrics") as response:
        return sample in (await response.text()).splitlines()


async def test_the_oldest_job_grows_older_until_it_is_taken(deployment: Deployment, http: ClientSession) -> None:
    gateway = deployment.gateway()
    client = Client(http, gateway, deployment.reader())
    queue = deployment.place.queue
    await eventually(lambda: has(http, gateway, f'gpt_jobs_oldest_waiting_seconds{{queue="{queue}"}} 0.0'))

    record = await client.submit(msg="x")
    await eventually(lambda: is_at_least(http, gateway, 1, "gpt_jobs_oldest_waiting_seconds"), 20)
    assert await has(http, gateway, f'gpt_jobs_queue_consumers{{queue="{queue}"}} 0.0')

    worker = deployment.worker()
    await client.result(record["id"])
    await eventually(lambda: has(http, gateway, f'gpt_jobs_oldest_waiting_seconds{{queue="{queue}"}} 0.0'), 20)
    await eventually(lambda: has(http, gateway, f'gpt_jobs_queue_consumers{{queue="{queue}"}} 1.0'), 20)
    await eventually(lambda: is_at_least(http, worker, 1, "gpt_jobs_answer_seconds_sum", status="completed"))


async def test_each_service_tells_which_servers_answer(deployment: Deployment, http: ClientSession) -> None:
    for service, servers in ((deployment.gateway(), 3), (deployment.reader(), 2), (deployment.worker(), 3)):
        await eventually(partial(is_at_least, http, service, servers, "gpt_jobs_server_up"), 40)
        assert await has(http, service, "gpt_jobs_ready 1.0")


async def test_a_service_without_its_servers_says_so(deployment: Deployment, http: ClientSession) -> None:
    gateway = deployment.gateway_without_servers(**NOWHERE)
    await eventually(lambda: has(http, gateway, 'gpt_jobs_server_up{server="broker"} 0.0'), 40)
    assert await has(http, gateway, 'gpt_jobs_server_up{server="cache"} 0.0')
    assert await has(http, gateway, "gpt_jobs_ready 0.0")
    async with http.get(gateway.admin_url / "metrics") as response:
        assert "gpt_jobs_oldest_waiting_seconds{" not in await response.text()


async def test_what_has_not_happened_yet_is_counted_as_0(deployment: Deployment, http: ClientSession) -> None:
    gateway, reader, worker = deployment.gateway(), deployment.reader(), deployment.worker()
    for service, sample in (
        (gateway, 'gpt_jobs_accepted_total{route="predict"} 0.0'),
        (gateway, 'gpt_jobs_refused_total{code="queue_full"} 0.0'),
        (reader, 'gpt_jobs_lookups_total{answered_by="store"} 0.0'),
        (worker, 'gpt_jobs_finished_total{code="",status="completed"} 0.0'),
        (worker, 'gpt_jobs_finished_total{code="deadline_exceeded",status="failed"} 0.0'),
        (worker, 'gpt_jobs_upstream_calls_total{model="stub-model",result="rate_limit"} 0.0'),
        (worker, 'gpt_jobs_deliveries_total{outcome="transient"} 0.0'),
    ):
        assert await has(http, service, sample)


async def test_calls_are_counted_by_failure_and_by_models_that_exist(
    deployment: Deployment, http: ClientSession, stub: ModelStub
) -> None:
    worker = deployment.worker(MAX_ATTEMPTS="1")
    client = Client(http, deployment.gateway(), deployment.reader())
    stub.respond = status(429)
    for model in ("stub-model", "an-invented-name"):
        await client.result((await client.submit(msg="x", options={"model": model}))["id"])

    for model in ("stub-model", "other"):
        labels = f'{{model="{model}",result="rate_limit"}} 1.0'
        assert await has(http, worker, f"gpt_jobs_upstream_calls_total{labels}")
        assert await has(http, worker, f"gpt_jobs_upstream_call_seconds_count{labels}")
    assert await worker.metric(http, "gpt_jobs_answer_seconds_count", status="failed") == 2
