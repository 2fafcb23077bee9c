"""A job from its submission to its answer, through the three services as processes."""

import time

import pytest
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Client
from tests.deployment import Deployment
from tests.waiting import eventually

TEXTS = [
    "plain",
    "你好，世界 👋🏽 — e\u0301 \u202e \u2028",
    '\u0000\t"quotes" \\ {{ 7 * 7 }} <b> \n',
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010ffff",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_prompt_comes_back_byte_for_byte(text: str, system: Client) -> None:
    record = await system.submit(msg=text, metadata={"key": text})

    result = await system.result(record["id"])

    assert result["status"] == "completed"
    assert result["output_text"] == "You said: " + text
    assert result["metadata"] == {"key": text}


async def test_the_record_tells_the_life_of_the_job(system: Client) -> None:
    record = await system.submit(msg="one two three", deadline_s=100)
    result = await system.result(record["id"])

    assert record["status"] == "queued"
    assert record["attempt"] == 0
    assert abs(record["deadline_at"] - record["created_at"] - 100) <= 1
    assert [*result, "queue"] == list(record)
    assert result["created_at"] <= result["started_at"] <= result["completed_at"] < result["expires_at"]
    assert result["attempt"] == 1
    assert result["model"] == "stub-model"
    assert result["usage"] == {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    assert result["error"] is None
    assert result["urls"] == {"result": f"/v1/results/{record['id']}"}


async def test_messages_and_options_reach_the_model(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()
    conversation = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "how are you?"},
    ]
    options = {"model": "other", "system": "be brief", "temperature": 0.5, "top_p": 1, "max_tokens": 9}

    record = await client.submit(messages=conversation, options=options)
    await client.result(record["id"])

    sent = stub.calls[0].body
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, *conversation]
    del options["system"]
    assert {name: sent[name] for name in options} == options
    assert set(sent) == {"messages", "stream", "stream_options", *options}


async def test_a_transient_failure_is_retried_through_the_wait_queue(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    worker = deployment.worker(PREFETCH="1")
    stub.respond = replies.in_turn(replies.status(429), replies.status(503), replies.reset(), replies.echo())

    record = await client.submit(msg="hello")
    result = await client.result(record["id"])

    assert (result["status"], result["attempt"], len(stub.calls)) == ("completed", 4, 4)
    assert await worker.metric(http, "gpt_jobs_deliveries_total", outcome="transient") == 3


async def test_no_slot_is_held_while_a_job_waits_for_its_next_attempt(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(RETRY_DELAY_S="3"), deployment.reader())
    deployment.worker(PREFETCH="1", RETRY_DELAY_S="3")
    stub.respond = replies.in_turn(replies.status(500), replies.echo())

    failing = await client.submit(msg="first")
    await stub.until(lambda stub: len(stub.calls) == 1)
    other = await client.submit(msg="second")

    assert (await client.result(other["id"]))["status"] == "completed"
    assert (await client.poll(failing["id"])).body["status"] == "in_progress"
    assert (await client.result(failing["id"]))["status"] == "completed"


async def test_attempts_come_to_an_end(deployment: Deployment, stub: ModelStub, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(MAX_ATTEMPTS="3")
    stub.respond = replies.status(500)

    record = await client.submit(msg="hello")
    result = await client.result(record["id"])

    assert (result["status"], result["attempt"], len(stub.calls)) == ("failed", 3, 3)
    assert result["error"]["code"] == "upstream_unavailable"
    assert result["error"]["retryable"] is True


async def test_a_job_past_its_deadline_never_reaches_the_model(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    record = await client.submit(msg="hello", deadline_s=0.1)
    await eventually(lambda: _has_passed(record["deadline_at"]))

    deployment.worker()
    result = await client.result(record["id"])

    assert (result["status"], result["error"]["code"]) == ("failed", "deadline_exceeded")
    assert stub.calls == []


async def test_a_failure_that_leaves_no_time_for_another_attempt_is_told_as_what_it_was(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(RETRY_DELAY_S="60"), deployment.reader())
    deployment.worker(RETRY_DELAY_S="60")
    stub.respond = replies.status(429)

    record = await client.submit(msg="hello", deadline_s=30)

    assert (await client.result(record["id"]))["error"]["code"] == "upstream_rate_limited"
    assert len(stub.calls) == 1


async def test_a_call_is_cut_at_the_deadline(deployment: Deployment, stub: ModelStub, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()
    stub.respond = replies.hang()

    record = await client.submit(msg="hello", deadline_s=1)

    assert (await client.result(record["id"]))["error"]["code"] == "deadline_exceeded"


async def test_a_call_ends_with_its_timeout(deployment: Deployment, stub: ModelStub, http: ClientSession) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(MAX_ATTEMPTS="1")
    stub.respond = replies.hang()

    record = await client.submit(msg="hello", options={"timeout_s": 0.3})

    assert (await client.result(record["id"]))["error"]["code"] == "upstream_timeout"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (replies.status(400), "upstream_rejected"),
        (replies.status(404), "upstream_rejected"),
        (replies.status(401), "upstream_rejected"),
        (replies.status(400, code="context_length_exceeded"), "context_too_long"),
        (replies.status(413), "context_too_long"),
        (replies.status(400, code="content_filter"), "content_rejected"),
        (replies.text("...", finish_reason="content_filter"), "content_rejected"),
        (replies.status(429, code="insufficient_quota"), "upstream_quota"),
        (replies.status(429), "upstream_rate_limited"),
        (replies.status(500), "upstream_unavailable"),
        (replies.garbage(), "upstream_unavailable"),
        (replies.garbage(""), "upstream_unavailable"),
        (replies.garbage("{}"), "upstream_unavailable"),
        (replies.garbage('{"choices": []}'), "upstream_unavailable"),
        (replies.garbage('"text"'), "upstream_unavailable"),
        (replies.reset(0), "upstream_unavailable"),
        (replies.reset(40), "upstream_unavailable"),
    ],
)
async def test_each_upstream_failure_has_its_code(
    reply: replies.Respond, code: str, impatient_system: Client, system_stub: ModelStub
) -> None:
    system_stub.respond = reply
    try:
        record = await impatient_system.submit(msg="hello")
        result = await impatient_system.result(record["id"])
    finally:
        system_stub.respond = replies.echo()

    assert (result["status"], result["error"]["code"]) == ("failed", code)
    assert result["output_text"] is None


def _has_passed(unix_seconds: float) -> bool:
    return time.time() > unix_seconds
