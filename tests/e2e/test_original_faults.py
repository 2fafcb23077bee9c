"""The twelve faults of the original, each as a test that fails on the original's behaviour."""

import asyncio
import json
import signal
import sys
from typing import Any

import pymongo
import pytest
import redis.asyncio
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import JOB_ID_KEY, Deployment, Place
from tests.waiting import eventually

FORTUNE = {"name": "小明", "gender": "男", "birth": "1990-01-31 08:30"}


@pytest.mark.parametrize("name", ["id", "reqId"])
async def test_01_a_result_is_stored_under_the_id_that_the_publisher_gave(
    name: str, deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()

    await application.publish({name: "their-own-id", "msg": "hello"})
    await eventually(lambda: _is_known(client, "their-own-id"))

    assert (await client.result("their-own-id"))["output_text"] == "You said: hello"
    assert (await client.poll("undefined")).status == 404


async def test_02_a_fast_worker_is_never_overwritten_by_the_mark(deployment: Deployment, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="50")

    records = await asyncio.gather(*(client.submit(msg=str(number)) for number in range(200)))
    results = await asyncio.gather(*(client.result(record["id"]) for record in records))

    assert [result["output_text"] for result in results] == [f"You said: {number}" for number in range(200)]


async def test_03_each_delivery_is_acknowledged_once_and_the_channel_stays_open(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(PREFETCH="1")

    await application.publish(b"not a job")
    for number in range(5):
        record = await client.submit(msg=str(number))
        assert (await client.result(record["id"]))["status"] == "completed"

    await eventually(lambda: _is_empty(application))
    assert '"broker_not_ready"' not in worker.logged()
    assert '"delivery_not_settled"' not in worker.logged()


async def test_04_a_worker_killed_before_it_acknowledges_loses_no_answer(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    first = deployment.worker()
    stub.respond = replies.hang()
    record = await client.submit(msg="hello")
    await stub.until(lambda stub: stub.in_flight == 1)

    first.process.signal(signal.SIGKILL)
    stub.respond = replies.echo()
    deployment.worker()

    assert (await client.result(record["id"]))["output_text"] == "You said: hello"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "the body is not valid JSON in UTF-8"),
        (json.dumps({"id": "broken", "msg": ""}).encode(), "msg: "),
    ],
)
async def test_05_a_malformed_message_is_kept_with_its_reason(
    body: bytes, reason: str, deployment: Deployment, application: Application
) -> None:
    deployment.worker()

    await application.publish(body)
    dead = await application.next_in(".dead")

    assert dead.body == body
    assert dead.headers["x-reason"] == "invalid_message"
    assert str(dead.headers["x-reason-text"]).startswith(reason)


async def test_05_a_failed_call_is_told_to_the_poller(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()
    stub.respond = replies.status(400)

    record = await client.submit(msg="hello")

    failed = await client.result(record["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "upstream_rejected")


async def test_06_a_job_submitted_before_any_worker_ever_ran_waits_for_one(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())

    record = await client.submit(msg="hello")
    assert await application.depth() == 1
    deployment.worker()

    assert (await client.result(record["id"]))["status"] == "completed"


async def test_07_a_job_that_waits_longer_than_a_result_lives_is_still_queued(
    deployment: Deployment, http: ClientSession, place: Place
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader(RESULT_CACHE_TTL_S="1"))

    record = await client.submit(msg="hello")

    assert await _lifetime_s(place, record["id"]) > 3600
    assert (await client.poll(record["id"])).body["status"] == "queued"


async def test_08_a_look_up_in_the_store_uses_an_index(
    deployment: Deployment, http: ClientSession, place: Place
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()
    record = await client.submit(msg="hello")
    await client.result(record["id"])

    with pymongo.MongoClient[dict[str, Any]](place.environment["MONGO_URL"]) as mongo:
        results = mongo.get_default_database().get_collection("results")
        plan = results.find({"_id": record["id"]}).explain()["queryPlanner"]["winningPlan"]
        documents = results.count_documents({"_id": record["id"]})

    assert documents == 1
    assert plan["stage"] == "IDHACK"


async def test_09_an_upstream_error_text_reaches_neither_client_nor_log(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(OPENAI_API_KEY="sk-very-secret-key")
    stub.respond = _leaking(400)
    record = await client.submit(msg="my private prompt")
    failed = await client.result(record["id"])
    stub.respond = _leaking(401)
    refused = await client.result((await client.submit(msg="my private prompt"))["id"])

    told = json.dumps([failed, refused, (await client.query(record["id"])).body])
    for secret in ("sk-very-secret-key", "very-secret", "Incorrect API key", "my private prompt"):
        assert secret not in told
        assert secret not in worker.logged()


async def test_10_a_directly_published_job_with_an_id_of_ours_is_queued_from_the_first_moment(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    job_id = await _minted_by_command()

    await application.publish({"id": job_id, "msg": "hello"})
    waiting = await client.poll(job_id)
    query = await client.query(job_id)
    deployment.worker()

    assert (waiting.status, waiting.body["status"]) == (200, "queued")
    assert query.body == {"isOk": True, "model": {"pending": True}}
    assert (await client.result(job_id))["output_text"] == "You said: hello"


async def test_11_a_dead_key_leaves_the_pool(deployment: Deployment, stub: ModelStub, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(OPENAI_API_KEY="dead-key,living-key", PREFETCH="1")
    stub.respond = _only_for("living-key")

    for number in range(10):
        record = await client.submit(msg=str(number))
        assert (await client.result(record["id"]))["output_text"] == f"You said: {number}"

    assert sum(call.api_key == "dead-key" for call in stub.calls) <= 1


async def test_11_what_all_keys_are_refused_for_leaves_them_in_the_pool(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(OPENAI_API_KEY="dead-key,living-key", OPENAI_BASE_URL=stub.base_url, PREFETCH="1")
    stub.respond = _only_for("living-key")
    await client.result((await client.submit(msg="rests the dead key"))["id"])

    stub.respond = replies.status(403)
    forbidden = await client.result((await client.submit(msg="a model that nobody may use"))["id"])
    stub.respond = _only_for("living-key")
    answered = await client.result((await client.submit(msg="hello"))["id"])

    assert (forbidden["status"], answered["status"]) == ("failed", "completed")


async def test_12_failed_expired_and_unknown_look_different(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    short = {"RESULT_CACHE_TTL_S": "3", "RESULT_STORE_TTL_S": "3", "JOB_DEADLINE_S": "600"}
    client = Client(http, deployment.gateway(), deployment.reader(**short))
    deployment.worker(**short)
    stub.respond = replies.status(400)
    failing = await client.submit(msg="hello")
    failed = await client.result(failing["id"])
    failed_query = (await client.query(failing["id"])).body

    await eventually(lambda: _has_status(client, failing["id"], 410))
    expired_query = (await client.query(failing["id"])).body
    unknown_query = (await client.query("never-existed")).body

    assert failed["status"] == "failed"
    assert (await client.poll(failing["id"])).body["error"]["code"] == "job_expired"
    assert (await client.poll("never-existed")).body["error"]["code"] == "job_not_found"
    texts = {query["errMsg"] for query in (failed_query, expired_query, unknown_query)}
    assert len(texts) == 3
    for query in (failed_query, expired_query, unknown_query):
        assert (query["isOk"], query["model"]) == (False, {"done": True})


async def _is_known(client: Client, job_id: str) -> bool:
    return (await client.poll(job_id)).status == 200


async def _has_status(client: Client, job_id: str, status: int) -> bool:
    return (await client.poll(job_id)).status == status


async def _is_empty(application: Application) -> bool:
    return await application.depth() == 0


async def _lifetime_s(place: Place, job_id: str) -> float:
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as client:
        return float(await client.pttl(f"{place.environment['REDIS_PREFIX']}job:{job_id}")) / 1000


async def _minted_by_command() -> str:
    """An id as a publisher gets one that has the key and no code of ours."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "common.ids"), env={"JOB_ID_KEYS": JOB_ID_KEY}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().strip()


def _leaking(status: int) -> replies.Respond:
    """An upstream that quotes the key and the prompt, as real ones do."""

    async def respond(call: replies.Call) -> replies.Reply:
        message = f"Incorrect API key provided: {call.api_key}. You asked: {call.prompt}"
        return replies.Reply(status, replies.error_body(message, kind="invalid_request_error"))

    return respond


def _only_for(key: str) -> replies.Respond:
    refuse, answer = replies.status(401, code="invalid_api_key"), replies.echo()

    async def respond(call: replies.Call) -> replies.Reply:
        return await (answer if call.api_key == key else refuse)(call)

    return respond
