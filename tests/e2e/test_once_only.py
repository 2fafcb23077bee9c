"""A submission that is repeated under its idempotency key makes no second job, whatever happened to the first."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError, ClientSession
from yarl import URL

from stack.model_stub import ModelStub
from stack.tcp_proxy import Direction, Moment, TcpProxy
from tests.client import Answer, Application, Client, ask
from tests.deployment import NOWHERE, Deployment, Place, Service
from tests.waiting import eventually

FORTUNE = {"gender": "男", "birth": "1990-01-31"}
#: How the broker's confirm of one message begins: a method frame of a channel, `basic.ack`.
BASIC_ACK = b"\x00\x3c\x00\x50"


@pytest.fixture
async def to_broker(place: Place) -> AsyncIterator[TcpProxy]:
    """A way to the broker that can be cut."""
    async with TcpProxy(URL(place.environment["AMQP_URL"]).port or 0) as proxy:
        yield proxy


async def gateway_over(proxy: TcpProxy, deployment: Deployment, **settings: str) -> Service:
    url = str(URL(deployment.place.environment["AMQP_URL"]).with_port(proxy.port))
    gateway = await asyncio.to_thread(deployment.gateway, AMQP_URL=url, **settings)
    await eventually(lambda: '"broker_connected"' in gateway.logged())
    return gateway


async def test_the_same_again_is_answered_with_the_job_as_it_is_now(system: Client) -> None:
    body = {"msg": "hello", "metadata": {"a": "1", "b": "2"}}
    first = await system.post("/v1/jobs", body, "again")
    record = await system.result(first.body["id"])

    again = await system.post("/v1/jobs", {"metadata": {"b": "2", "a": "1"}, "msg": "hello"}, "again")

    assert (first.status, "Idempotency-Replayed" in first.headers) == (202, False)
    assert (again.status, again.headers["Idempotency-Replayed"], again.body) == (200, "true", record)
    assert again.headers["Location"] == record["urls"]["result"]
    assert "Retry-After" not in again.headers


async def test_another_submission_under_the_same_key_is_a_conflict(system: Client) -> None:
    await system.post("/v1/jobs", {"msg": "hello"}, "conflict")
    answers = [
        await system.post("/v1/jobs", {"msg": "goodbye"}, "conflict"),
        await system.post("/predict/start", FORTUNE, "conflict"),
    ]
    for answer in answers:
        error = answer.body["error"]
        assert (answer.status, error["code"], error["param"]) == (409, "idempotency_conflict", "Idempotency-Key")
        assert error["retryable"] is False


async def test_the_originals_call_takes_a_key_too(system: Client) -> None:
    first, again = [await system.post("/predict/start", FORTUNE, "fortune") for _ in range(2)]
    assert (first.status, "Idempotency-Replayed" in first.headers) == (200, False)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert first.body == again.body
    by_template = await system.post("/v1/jobs", {"template": "fortune", "inputs": FORTUNE}, "fortune")
    assert (by_template.status, by_template.body["id"]) == (200, first.body["model"]["reqId"])


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ü"])
@pytest.mark.parametrize(("path", "body"), [("/v1/jobs", {"msg": "hello"}), ("/predict/start", FORTUNE)])
async def test_a_bad_key_is_told(system: Client, path: str, body: object, key: str) -> None:
    answer = await system.post(path, body, key)
    error = answer.body["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_request", "Idempotency-Key")


async def test_what_is_not_valid_uses_no_key(system: Client) -> None:
    for invalid in ({"msg": ""}, {"template": "fortune", "inputs": {"gender": "?"}}):
        assert (await system.post("/v1/jobs", invalid, "invalid")).status == 400
    assert (await system.post("/v1/jobs", {"msg": "valid"}, "invalid")).status == 202


async def test_what_cannot_continue_its_parent_uses_no_key(system: Client) -> None:
    orphan = {"msg": "and then?", "options": {"parent_id": "nobody"}}
    assert (await system.post("/v1/jobs", orphan, "orphan")).status == 400
    assert (await system.post("/v1/jobs", {"msg": "hello"}, "orphan")).status == 202


async def test_a_follow_up_that_was_accepted_stays_so_when_its_parent_is_deleted(system: Client) -> None:
    parent = (await system.submit(msg="hello"))["id"]
    await system.result(parent)
    follow_up = {"msg": "and then?", "options": {"parent_id": parent}}
    first = await system.post("/v1/jobs", follow_up, "follow-up")
    await system.result(first.body["id"])
    await system.delete(parent)
    again = await system.post("/v1/jobs", follow_up, "follow-up")
    assert (first.status, again.status, again.body["id"]) == (202, 200, first.body["id"])


async def test_the_key_of_a_deleted_job_makes_no_other(system: Client) -> None:
    first = await system.post("/v1/jobs", {"msg": "hello"}, "deleted")
    await system.delete(first.body["id"])
    again = await system.post("/v1/jobs", {"msg": "hello"}, "deleted")
    assert (again.status, again.body["error"]["code"]) == (410, "job_deleted")


async def test_two_hundred_at_once_over_two_gateways_are_one_job_and_one_call(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    reader = deployment.reader()
    # Long enough for a busy machine.
    gateways = [deployment.gateway(CACHE_TIMEOUT_S="20", BROKER_TIMEOUT_S="20") for _ in range(2)]
    clients = [Client(http, gateway, reader) for gateway in gateways]
    answers = await asyncio.gather(*(clients[n % 2].post("/v1/jobs", {"msg": "once"}, "a-key") for n in range(200)))

    assert Counter(answer.status for answer in answers) == {202: 1, 200: 199}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert await application.depth() == 1
    assert sum([await each.metric(http, "gpt_jobs_accepted_total") for each in gateways]) == 1
    assert sum([await each.metric(http, "gpt_jobs_repeated_total", route="jobs") for each in gateways]) == 199
    deployment.worker()
    assert (await clients[0].result(answers[0].body["id"]))["output_text"] == "You said: once"
    assert len(stub.calls) == 1


async def test_clients_do_not_share_their_keys(deployment: Deployment, http: ClientSession) -> None:
    settings = {"API_KEYS": "alice:key-of-alice,bob:key-of-bob"}
    gateway, reader = deployment.gateway(**settings), deployment.reader(**settings)
    alice, bob = (Client(http, gateway, reader, key) for key in ("key-of-alice", "key-of-bob"))
    first, second = [await client.post("/v1/jobs", {"msg": "hello"}, "a-key") for client in (alice, bob)]
    assert (first.status, second.status) == (202, 202)
    assert first.body["id"] != second.body["id"]


async def test_a_refused_submission_frees_its_key(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(MAX_QUEUE_DEPTH="1"), deployment.reader())
    await client.submit(msg="the only one")
    assert (await client.post("/v1/jobs", {"msg": "hello"}, "a-key")).status == 429
    await application.purge_job_queue()

    async def accepted() -> bool:
        return (await client.post("/v1/jobs", {"msg": "hello"}, "a-key")).status == 202

    await eventually(accepted)
    assert (await client.post("/v1/jobs", {"msg": "hello"}, "a-key")).status == 200


async def test_a_submission_without_a_confirm_frees_its_key(
    deployment: Deployment, stub: ModelStub, http: ClientSession, to_broker: TcpProxy
) -> None:
    client = Client(http, await gateway_over(to_broker, deployment, BROKER_TIMEOUT_S="1"), deployment.reader())
    to_broker.stall()
    refused = await asyncio.gather(*(client.post("/v1/jobs", {"msg": "hello"}, "a-key") for _ in range(3)))
    await to_broker.heal()
    deployment.worker()

    async def accepted() -> Answer | None:
        answer = await client.post("/v1/jobs", {"msg": "hello"}, "a-key")
        return answer if answer.status < 300 else None

    assert {answer.status for answer in refused} == {503}
    answer: Answer = await eventually(accepted)
    assert (await client.result(answer.body["id"]))["status"] == "completed"
    assert len(stub.calls) == 1


async def test_a_gateway_that_died_before_its_answer_is_followed_by_another_with_the_same_job(
    deployment: Deployment, stub: ModelStub, http: ClientSession, to_broker: TcpProxy
) -> None:
    short = {"BROKER_TIMEOUT_S": "1", "CACHE_TIMEOUT_S": "0.5"}
    first = await gateway_over(to_broker, deployment, **short)
    reader = deployment.reader()
    second = Client(http, await asyncio.to_thread(deployment.gateway, **short), reader)
    cut = to_broker.cut_at(BASIC_ACK, Direction.FROM_SERVER, Moment.BEFORE, also=first.process.kill)
    with pytest.raises(ClientError):
        await Client(http, first, reader).post("/v1/jobs", {"msg": "hello"}, "a-key")
    assert cut.happened.is_set()

    async def accepted() -> Answer | None:
        answer = await second.post("/v1/jobs", {"msg": "hello"}, "a-key")
        return answer if answer.status == 202 else None

    answer: Answer = await eventually(accepted)
    assert (await second.post("/v1/jobs", {"msg": "hello"}, "a-key")).body["id"] == answer.body["id"]
    await asyncio.to_thread(deployment.worker, PREFETCH="1")
    record = await second.result(answer.body["id"])
    assert (record["output_text"], record["attempt"]) == ("You said: hello", 1)
    after = await second.submit(msg="after both messages")
    await second.result(after["id"])
    assert [call.messages[-1]["content"] for call in stub.calls] == ["hello", "after both messages"]


async def test_without_the_cache_a_submission_with_a_key_is_refused_and_one_without_is_not(
    deployment: Deployment, http: ClientSession
) -> None:
    gateway = deployment.gateway(REDIS_URL=NOWHERE["REDIS_URL"])
    client = Client(http, gateway, deployment.reader())
    answer = await client.post("/v1/jobs", {"msg": "hello"}, "a-key")
    assert (answer.status, answer.body["error"]["code"]) == (503, "cache_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert (await client.post("/v1/jobs", {"msg": "hello"})).status == 202
    assert await gateway.metric(http, "gpt_jobs_refused_total", code="cache_unavailable") == 1


async def test_the_key_is_kept_as_long_as_the_job_can_be_read(deployment: Deployment, http: ClientSession) -> None:
    deployment.worker(RESULT_CACHE_TTL_S="0.5", RESULT_STORE_TTL_S="3")
    client = Client(http, deployment.gateway(RESULT_STORE_TTL_S="3"), deployment.reader())
    first = await client.post("/v1/jobs", {"msg": "hello"}, "a-key")
    record = await client.result(first.body["id"])

    statuses = Counter[int]()

    async def a_new_job() -> bool:
        answer = await client.post("/v1/jobs", {"msg": "hello"}, "a-key")
        statuses[answer.status] += 1
        if answer.status == 200:
            assert answer.body == record
        return answer.status == 202

    await eventually(a_new_job)
    assert statuses[200] > 0
    assert set(statuses) == {200, 202}


async def test_a_key_sent_twice_is_told(system: Client, http: ClientSession) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Content-Type", "application/json")]
    url = system.gateway_url.with_path("/v1/jobs")
    answer = await ask(http, "POST", url, data=json.dumps({"msg": "hello"}), headers=headers)
    assert (answer.status, answer.body["error"]["param"]) == (400, "Idempotency-Key")
