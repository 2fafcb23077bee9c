"""Other applications publish straight to the exchange: every form of the original's, and our own."""

import json
import time
from typing import Any

import pika
import pytest
from aiohttp import ClientSession

from common.ids import JobIds
from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import JOB_ID_KEY, Deployment, Place
from tests.waiting import eventually

PAYLOAD = {"tag": "divination", "extra": {"nested": [1, None, "二"]}}
ORIGINAL_OPTIONS = {
    "systemMessage": "be brief",
    "completionParams": {"model": "gpt-x", "temperature": 0.1, "top_p": 0.9, "presence_penalty": 1},
    "timeoutMs": 120_000,
    "onProgress": None,
}


@pytest.mark.parametrize(
    "body",
    [
        {"id": "a1", "msg": "hello"},
        {"reqId": "a2", "msg": "hello", "options": {}},
        {"id": "a3", "msg": "hello", "options": ORIGINAL_OPTIONS, "payload": PAYLOAD},
        {"id": "a4", "reqId": "a4", "msg": "hello", "options": None, "unheard": "of"},
        {"id": "a5", "messages": [{"role": "user", "content": "hello"}], "metadata": {"a": "b"}},
    ],
)
async def test_each_form_becomes_a_job_and_its_record_is_replied(
    body: dict[str, Any], deployment: Deployment, application: Application, http: ClientSession
) -> None:
    deployment.worker()
    client = Client(http, deployment.gateway(), deployment.reader())
    await application.declare()

    (reply,) = await application.answers_to(body, correlation_id="corr-1")

    record = json.loads(reply.body)
    assert reply.correlation_id == "corr-1"
    assert (record["id"], record["status"]) == (body.get("id") or body["reqId"], "completed")
    assert record["output_text"] == "You said: hello"
    assert record.get("payload") == body.get("payload")
    polled = await client.poll(record["id"])
    assert polled.raw == reply.body


async def test_the_original_options_reach_the_model(
    deployment: Deployment, stub: ModelStub, application: Application
) -> None:
    deployment.worker()
    await application.declare()

    await application.answers_to({"id": "a", "msg": "hello", "options": ORIGINAL_OPTIONS})

    sent = stub.calls[0].body
    assert sent["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
    ]
    params = ORIGINAL_OPTIONS["completionParams"]
    assert isinstance(params, dict)
    assert {name: sent[name] for name in params} == params


async def test_a_template_is_filled_in_by_the_worker(
    deployment: Deployment, stub: ModelStub, application: Application
) -> None:
    deployment.worker()
    await application.declare()
    inputs = {"gender": "女", "birth": "1990-01-31"}

    await application.answers_to({"id": "a", "template": "fortune", "inputs": inputs})

    assert "水瓶座" in str(stub.calls[0].messages)


async def test_the_same_message_twice_is_one_job_and_two_replies(
    deployment: Deployment, stub: ModelStub, application: Application
) -> None:
    deployment.worker()
    await application.declare()

    first = await application.answers_to({"id": "same", "msg": "hello"})
    second = await application.answers_to({"id": "same", "msg": "hello again"})

    assert len(stub.calls) == 1
    assert first[0].body == second[0].body


async def test_a_malformed_message_fails_under_its_id_and_the_next_one_is_served(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="1")

    (reply,) = await application.answers_to({"id": "bad", "msg": "hello", "options": {"temperature": 9}})
    await application.publish({"id": "good", "msg": "hello"})

    failed = await client.result("bad")
    assert json.loads(reply.body) == failed
    assert (failed["status"], failed["error"]["code"]) == ("failed", "invalid_message")
    assert failed["error"]["param"] == "options.temperature"
    await eventually(lambda: _is_known(client, "good"))
    assert (await client.result("good"))["status"] == "completed"


async def test_a_plain_client_in_another_library_is_served(
    deployment: Deployment, place: Place, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()

    with pika.BlockingConnection(pika.URLParameters(place.environment["AMQP_URL"])) as connection:
        channel = connection.channel()
        channel.exchange_declare(place.exchange, "direct", durable=True)
        channel.queue_declare(place.queue, durable=True)
        channel.queue_bind(place.queue, place.exchange, place.queue)
        channel.basic_publish(place.exchange, place.queue, json.dumps({"id": "pika", "msg": "hello"}).encode())

    await eventually(lambda: _is_known(client, "pika"))
    assert (await client.result("pika"))["output_text"] == "You said: hello"


async def test_a_poll_before_the_worker_changes_nothing_of_what_the_message_says(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    job_id = JobIds([JOB_ID_KEY]).mint()
    deadline = int(time.time()) + 30

    await application.publish(
        {"id": job_id, "msg": "hello", "payload": PAYLOAD, "metadata": {"a": "b"}}, headers={"x-deadline": deadline}
    )
    await client.poll(job_id)
    deployment.worker()

    result = await client.result(job_id)
    assert (result["payload"], result["metadata"], result["deadline_at"]) == (PAYLOAD, {"a": "b"}, deadline)


async def test_a_full_reply_queue_holds_no_slot(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="1")

    async with application.full_queue() as full:
        await application.publish({"id": "first", "msg": "hello"}, reply_to=full)
        record = await client.submit(msg="second")

        assert (await client.result(record["id"]))["status"] == "completed"
    assert (await client.result("first"))["status"] == "completed"


async def test_properties_that_no_string_can_hold_stop_nobody(
    deployment: Deployment, application: Application, place: Place, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="1")

    with pika.BlockingConnection(pika.URLParameters(place.environment["AMQP_URL"])) as connection:
        properties = pika.BasicProperties(message_id=b"\xff" * 200, timestamp=10**18)
        connection.channel().basic_publish(place.exchange, place.queue, b"no job", properties)
    dead = await application.next_in(".dead")
    record = await client.submit(msg="next")

    assert dead.body == b"no job"
    assert (await client.result(record["id"]))["status"] == "completed"


async def test_what_fills_a_frame_is_sent_on_all_the_same(
    deployment: Deployment, stub: ModelStub, application: Application, http: ClientSession
) -> None:
    """With our headers it would be longer than a frame, for which the broker closes the connection."""
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(PREFETCH="1")
    stub.respond = replies.in_turn(replies.status(500), replies.echo())

    await application.publish({"id": "long-header", "msg": "hello"}, headers={"theirs": "x" * 130_950})
    await eventually(lambda: _is_known(client, "long-header"))
    assert (await client.result("long-header"))["attempt"] == 2
    await application.publish({"id": "long-key", "msg": "hello", "metadata": {"x" * 200_000: 1}})
    dead = await application.next_in(".dead")

    assert dead.headers["x-reason"] == "invalid_message"
    assert (await client.result((await client.submit(msg="next"))["id"]))["status"] == "completed"


async def test_a_deleted_job_queue_is_made_again(
    deployment: Deployment, application: Application, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    await application.delete_job_queue()
    without_worker = await client.submit(msg="first")
    deployment.worker()
    await client.result(without_worker["id"])

    await application.delete_job_queue()
    record = await client.submit(msg="second")

    assert (await client.result(record["id"]))["status"] == "completed"


async def _is_known(client: Client, job_id: str) -> bool:
    return (await client.poll(job_id)).status == 200
