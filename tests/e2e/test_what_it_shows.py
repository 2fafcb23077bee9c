"""Logs, metrics and health: what an operator sees, and what nobody may see."""

import json
from typing import Any

from aiohttp import ClientSession

from tests.client import Application, Client, ask
from tests.deployment import Deployment, Service
from tests.waiting import eventually

PRIVATE = "a-private-prompt-and-answer"


async def test_each_line_is_json_and_tells_which_job_and_request(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    gateway, reader, worker = deployment.gateway(), deployment.reader(), deployment.worker()
    client = Client(http, gateway, reader)

    answer = await ask(
        http,
        "POST",
        gateway.url / "v1/jobs",
        json={"msg": PRIVATE, "metadata": {"k": PRIVATE}},
        headers={"X-Request-Id": "my-request", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"},
    )
    await client.result(answer.body["id"])
    await application.publish({"id": "broken", "msg": PRIVATE, "options": {"model": 5}})
    await client.post("/v1/jobs", {"msg": PRIVATE, "wrong": PRIVATE})
    await application.next_in(".dead")

    assert answer.headers["X-Request-Id"] == "my-request"
    for name, service in {"gateway": gateway, "gpt-worker": worker}.items():
        lines = _lines(service)
        of_job = [line for line in lines if line.get("job_id") == answer.body["id"]]
        assert {line["service"] for line in lines} == {name}
        assert of_job
        assert {line["request_id"] for line in of_job} == {"my-request"}
    for service in (gateway, reader, worker):
        assert PRIVATE not in service.logged()


async def test_the_metrics_count_what_happened(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    gateway, reader, worker = deployment.gateway(), deployment.reader(), deployment.worker(PREFETCH="7")
    client = Client(http, gateway, reader)

    record = await client.submit(msg="one two")
    await client.result(record["id"])
    await client.post("/predict/start", {"gender": "男", "birth": "1990-01-31"})
    await application.publish(b"broken")
    await application.next_in(".dead")
    await eventually(lambda: _finished(http, worker, 2))

    assert await gateway.metric(http, "gpt_jobs_accepted_total", route="jobs") == 1
    assert await gateway.metric(http, "gpt_jobs_accepted_total", route="predict") == 1
    assert await gateway.metric(http, "gpt_jobs_http_requests_total", route="/v1/jobs", status="202") == 1
    assert await reader.metric(http, "gpt_jobs_http_requests_total", route="/v1/results/{id}") >= 1
    assert await reader.metric(http, "gpt_jobs_lookups_total", answered_by="cache") >= 1
    assert await worker.metric(http, "gpt_jobs_attempts_total") == 2
    assert await worker.metric(http, "gpt_jobs_slots") == 7
    assert await worker.metric(http, "gpt_jobs_in_progress") == 0
    assert await worker.metric(http, "gpt_jobs_queue_wait_seconds_count") == 2
    assert await worker.metric(http, "gpt_jobs_upstream_call_seconds_count", result="completed") == 2
    assert await worker.metric(http, "gpt_jobs_tokens_total", direction="input", model="stub-model") > 2
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="invalid") == 1


async def test_the_depth_of_each_queue_is_shown(deployment: Deployment, http: ClientSession) -> None:
    gateway = deployment.gateway()
    client = Client(http, gateway, deployment.reader())

    for number in range(3):
        await client.submit(msg=str(number))

    queue = deployment.place.queue
    await eventually(lambda: _depth_is(http, gateway, queue, 3))
    assert await gateway.metric(http, "gpt_jobs_queue_depth", queue=f"{queue}.dead") == 0


async def test_no_label_holds_what_a_client_chose(deployment: Deployment, http: ClientSession) -> None:
    gateway, reader, worker = deployment.gateway(), deployment.reader(), deployment.worker()
    client = Client(http, gateway, reader)

    record = await client.submit(msg="x", options={"model": "m" * 20})
    await client.result(record["id"])
    await ask(http, "GET", gateway.url / "some/invented/path")
    await ask(http, "PATCH", gateway.url / "v1/jobs")

    for service in (gateway, reader, worker):
        async with http.get(service.admin_url / "metrics") as response:
            text = await response.text()
        assert record["id"] not in text
        assert "invented" not in text
        assert "PATCH" not in text


async def test_a_service_is_ready_only_while_its_servers_answer(deployment: Deployment, http: ClientSession) -> None:
    gateway = deployment.gateway_without_servers()

    healthy = await ask(http, "GET", gateway.admin_url / "healthz")
    ready = await ask(http, "GET", gateway.admin_url / "readyz")
    submitted = await ask(http, "POST", gateway.url / "v1/jobs", json={"msg": "x"})

    assert healthy.status == 200
    assert ready.status == 503
    assert ready.body["checks"] == {
        "broker": "broker_unavailable",
        "cache": "cache_unavailable",
        "store": "store_unavailable",
    }
    assert (submitted.status, submitted.body["error"]["code"]) == (503, "broker_unavailable")
    assert int(submitted.headers["Retry-After"]) > 0
    await eventually(lambda: len(_lines(gateway)) > 4)
    assert "a-secret" not in gateway.logged()


def _lines(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.logged().splitlines()]


async def _finished(http: ClientSession, worker: Service, count: int) -> bool:
    return await worker.metric(http, "gpt_jobs_finished_total", status="completed") == count


async def _depth_is(http: ClientSession, gateway: Service, queue: str, depth: int) -> bool:
    return await gateway.metric(http, "gpt_jobs_queue_depth", queue=queue) == depth
