"""Follow-up questions: a job continues the conversation of an earlier one, through either front door."""

import json
import time
from typing import Any

import pytest
from aiohttp import ClientSession

from common.ids import JobIds
from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client, ask
from tests.deployment import JOB_ID_KEY, Deployment
from tests.waiting import eventually


@pytest.fixture
def client(deployment: Deployment, http: ClientSession) -> Client:
    """A client of three services of this test's own."""
    deployment.worker()
    return Client(http, deployment.gateway(), deployment.reader())


async def answered(client: Client, text: str, **options: Any) -> dict[str, Any]:
    return await client.result((await client.submit(msg=text, options=options))["id"])


async def refused(client: Client, parent_id: str) -> tuple[int, str]:
    answer = await client.post("/v1/jobs", {"msg": "and?", "options": {"parent_id": parent_id}})
    assert answer.body["error"]["param"] == "options.parent_id"
    return answer.status, answer.body["error"]["code"]


def sent(stub: ModelStub) -> list[tuple[str, str]]:
    """What the last call said."""
    return [(message["role"], message["content"]) for message in stub.calls[-1].messages]


async def test_three_turns_are_one_conversation(client: Client, stub: ModelStub) -> None:
    first = await answered(client, "What is a fox?", system="be brief")
    second = await answered(client, "And a wolf?", parent_id=first["id"])
    third = await answered(client, "Which is larger?", parent_id=second["id"])

    assert sent(stub) == [
        ("system", "be brief"),
        ("user", "What is a fox?"),
        ("assistant", "You said: What is a fox?"),
        ("user", "And a wolf?"),
        ("assistant", "You said: And a wolf?"),
        ("user", "Which is larger?"),
    ]
    assert "parent_id" not in stub.calls[-1].body
    assert third["output_text"] == "You said: Which is larger?"


async def test_each_form_of_a_prompt_can_follow_and_be_followed(client: Client, stub: ModelStub) -> None:
    fortune = await client.submit(template="fortune", inputs={"gender": "女", "birth": "1990-01-31"})
    first = await client.result(fortune["id"])
    said = sent(stub)
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    record = await client.submit(messages=messages, options={"parent_id": first["id"], "system": "be kind"})
    assert (await client.result(record["id"]))["status"] == "completed"

    earlier = [(role, text) for role, text in said if role != "system"]
    own = [(message["role"], message["content"]) for message in messages]
    assert sent(stub) == [("system", "be kind"), *earlier, ("assistant", first["output_text"]), *own]


async def test_a_long_conversation_is_cut_to_the_context_of_the_model(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(CONTEXT_TOKENS="2000")
    stub.respond = replies.text("fine")
    parent, long = await answered(client, "hello " * 10_000, system="be brief"), "hello " * 300
    for number in range(5):
        parent = await answered(client, f"{number} {long}", parent_id=parent["id"], max_tokens=1000)
        assert parent["status"] == "completed"

    # The prompt and two turns of 300 words each are in 1000 tokens; of the others, only the system message.
    asked = [text[:1] for role, text in sent(stub) if role == "user"]
    assert asked == ["2", "3", "4"]
    assert sent(stub)[0] == ("system", "be brief")


async def test_a_prompt_that_is_too_long_by_itself_goes_out_whole_and_alone(client: Client, stub: ModelStub) -> None:
    first = await answered(client, "What is a fox?")
    long = "hello " * 30_000
    await answered(client, long, parent_id=first["id"])
    assert sent(stub) == [("user", long)]


async def test_an_unknown_parent_is_refused(client: Client) -> None:
    old = JobIds([JOB_ID_KEY]).mint(now=time.time() - 86_400 * 30)
    for parent_id in ("a-foreign-id", "job_" + "A" * 32, JobIds([JOB_ID_KEY]).mint("someone"), old):
        assert await refused(client, parent_id) == (400, "parent_not_found")
    for parent_id in ("", "a b", "ü", "x" * 129):
        assert await refused(client, parent_id) == (400, "invalid_request")
    assert await client.accepted() == 0


async def test_a_parent_that_waits_or_runs_is_refused(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    waiting = await client.submit(msg="a", options={"timeout_s": 300})
    assert await refused(client, waiting["id"]) == (409, "parent_not_finished")

    stub.respond = replies.hang()
    deployment.worker()
    await stub.until(lambda stub: stub.in_flight == 1)
    assert await refused(client, waiting["id"]) == (409, "parent_not_finished")


async def test_a_parent_without_an_answer_is_refused(client: Client, stub: ModelStub) -> None:
    stub.respond = replies.status(400)
    failed = await answered(client, "a")
    assert failed["status"] == "failed"
    assert await refused(client, failed["id"]) == (400, "parent_not_found")


async def test_a_deleted_parent_is_refused_and_left_out(client: Client, stub: ModelStub, http: ClientSession) -> None:
    first = await answered(client, "a secret")
    second = await answered(client, "And?", parent_id=first["id"])
    answer = await ask(http, "DELETE", client.gateway_url.with_path(f"/v1/jobs/{first['id']}"))
    assert answer.status == 204

    assert await refused(client, first["id"]) == (400, "parent_not_found")
    await answered(client, "And now?", parent_id=second["id"])
    assert [text for _, text in sent(stub)] == ["And?", "You said: And?", "And now?"]


async def test_a_follow_up_that_is_repeated_is_answered_although_its_parent_is_gone(
    client: Client, http: ClientSession
) -> None:
    first = await answered(client, "What is a fox?")
    body = {"msg": "And a wolf?", "options": {"parent_id": first["id"]}}
    job_id = (await client.post("/v1/jobs", body, "a-key")).body["id"]
    second = await client.result(job_id)
    await ask(http, "DELETE", client.gateway_url.with_path(f"/v1/jobs/{first['id']}"))

    again = await client.post("/v1/jobs", body, "a-key")

    assert (again.status, again.body) == (200, second)
    # What was refused for its parent leaves its key free.
    for options, status in (({"parent_id": first["id"]}, 400), ({}, 202)):
        assert (await client.post("/v1/jobs", {"msg": "a", "options": options}, "other-key")).status == status


async def test_a_conversation_outlives_its_results(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    short = {"RESULT_CACHE_TTL_S": "1", "RESULT_STORE_TTL_S": "1"}
    client = Client(http, deployment.gateway(**short), deployment.reader(**short))
    deployment.worker(**short)
    first = await answered(client, "What is a fox?")

    async def expired() -> bool:
        return (await client.poll(first["id"])).status == 410

    await eventually(expired)
    second = await client.submit(msg="And a wolf?", options={"parent_id": first["id"]})
    assert (await client.result(second["id"]))["status"] == "completed"
    assert [text for _, text in sent(stub)] == ["What is a fox?", "You said: What is a fox?", "And a wolf?"]
    # Deleted for the sake of privacy, it is gone although nobody could read it any more.
    answer = await ask(http, "DELETE", client.gateway_url.with_path(f"/v1/jobs/{first['id']}"))
    assert (answer.status, await refused(client, first["id"])) == (204, (400, "parent_not_found"))


async def test_a_conversation_need_not_outlive_its_results(deployment: Deployment, http: ClientSession) -> None:
    short = {"RESULT_CACHE_TTL_S": "1", "RESULT_STORE_TTL_S": "1"}
    client = Client(http, deployment.gateway(**short), deployment.reader(**short))
    deployment.worker(CONVERSATION_TTL_S="0", **short)
    first = await answered(client, "What is a fox?")

    async def expired() -> bool:
        return (await client.poll(first["id"])).status == 410

    await eventually(expired)
    assert await refused(client, first["id"]) == (400, "parent_not_found")


async def test_only_its_own_client_continues_a_conversation(deployment: Deployment, http: ClientSession) -> None:
    keys = {"API_KEYS": "alice:alice-key,bob:bob-key"}
    gateway, reader = deployment.gateway(**keys), deployment.reader(**keys)
    deployment.worker()
    alice, bob = (Client(http, gateway, reader, key) for key in ("alice-key", "bob-key"))
    first = await answered(alice, "What is a fox?")

    assert await refused(bob, first["id"]) == (400, "parent_not_found")
    assert (await answered(alice, "And a wolf?", parent_id=first["id"]))["status"] == "completed"


async def test_another_application_continues_a_conversation_by_either_name(
    client: Client, stub: ModelStub, application: Application
) -> None:
    first = await answered(client, "What is a fox?")
    (reply,) = await application.answers_to({"id": "a", "msg": "b", "options": {"parentMessageId": first["id"]}})
    assert json.loads(reply.body)["status"] == "completed"
    (reply,) = await application.answers_to(
        {"id": "c", "msg": "d", "options": {"parent_id": "a", "parentMessageId": "not-this"}}
    )

    assert json.loads(reply.body)["status"] == "completed"
    assert [text for _, text in sent(stub)] == ["What is a fox?", "You said: What is a fox?", "b", "You said: b", "d"]


@pytest.mark.parametrize("parent_id", ["never-was", "itself"])
async def test_another_applications_job_with_an_unknown_parent_fails(
    parent_id: str, client: Client, stub: ModelStub, application: Application
) -> None:
    job = {"id": "itself", "msg": "and?", "options": {"parentMessageId": parent_id}}
    (reply,) = await application.answers_to(job)

    record = json.loads(reply.body)
    assert (record["status"], record["error"]["code"]) == ("failed", "parent_not_found")
    assert record == (await client.poll("itself")).body
    assert stub.calls == []


async def test_another_applications_job_with_an_unfinished_parent_fails(
    deployment: Deployment, stub: ModelStub, application: Application
) -> None:
    deployment.worker()
    await application.declare()
    stub.respond = replies.hang()
    await application.publish({"id": "first", "msg": "a"})
    await stub.until(lambda stub: stub.in_flight == 1)
    (reply,) = await application.answers_to({"id": "next", "msg": "b", "options": {"parent_id": "first"}})
    assert json.loads(reply.body)["error"]["code"] == "parent_not_finished"
    assert len(stub.calls) == 1
