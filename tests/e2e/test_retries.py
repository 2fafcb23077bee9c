"""Another attempt is made when the upstream says, or later each time, and holds no slot until then."""

import pytest
from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import Deployment
from tests.waiting import eventually


@pytest.fixture
def client(deployment: Deployment, http: ClientSession) -> Client:
    """A client of a worker with a single slot."""
    deployment.worker(PREFETCH="1")
    return Client(http, deployment.gateway(), deployment.reader())


@pytest.mark.parametrize("number", [429, 503])
async def test_no_attempt_is_made_before_the_upstream_wants_one(client: Client, stub: ModelStub, number: int) -> None:
    refusal = replies.status(number, headers={"Retry-After": "2"})
    stub.respond = replies.in_turn(refusal, replies.echo())
    record = await client.submit(msg="first")
    await stub.until(lambda stub: len(stub.calls) >= 1, 30)
    other = await client.submit(msg="second")

    assert (await client.result(other["id"]))["attempt"] == 1
    result = await client.result(record["id"])

    assert (result["output_text"], result["attempt"]) == ("You said: first", 2)
    assert [call.prompt for call in stub.calls] == ["first", "second", "first"]
    assert stub.calls[2].at - stub.calls[0].at >= 2


@pytest.mark.parametrize("said", ["100000", "99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_job_that_could_not_be_in_time_fails_at_once(client: Client, stub: ModelStub, said: str) -> None:
    stub.respond = replies.status(429, headers={"Retry-After": said})
    result = await client.result((await client.submit(msg="hello"))["id"])
    assert (result["status"], result["error"]["code"]) == ("failed", "upstream_rate_limited")
    assert len(stub.calls) == 1


async def test_each_pause_is_longer_than_the_last(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker(MAX_ATTEMPTS="4", RETRY_DELAY_S="0.4")
    stub.respond = replies.status(500)
    result = await client.result((await client.submit(msg="hello"))["id"])
    assert (result["attempt"], result["error"]["code"]) == (4, "upstream_unavailable")
    pauses = [later.at - earlier.at for earlier, later in zip(stub.calls, stub.calls[1:], strict=False)]
    assert all(pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.8), strict=True)), pauses


@pytest.mark.parametrize(
    ("respond", "code"),
    [
        (replies.status(429, code="insufficient_quota", headers={"Retry-After": "1"}), "upstream_quota"),
        (replies.status(400), "upstream_rejected"),
        (replies.status(401, code="invalid_api_key"), "upstream_rejected"),
        (replies.status(403), "upstream_rejected"),
        (replies.status(404, code="model_not_found"), "upstream_rejected"),
        (replies.status(413), "context_too_long"),
        (replies.status(400, code="context_length_exceeded"), "context_too_long"),
        (replies.status(400, code="content_filter"), "content_rejected"),
        (replies.text("half of", finish_reason="content_filter"), "content_rejected"),
    ],
)
async def test_what_is_final_is_final_at_once(
    client: Client, stub: ModelStub, respond: replies.Respond, code: str
) -> None:
    stub.respond = respond
    result = await client.result((await client.submit(msg="hello"))["id"])
    assert (result["status"], result["error"]["code"], result["attempt"]) == ("failed", code, 1)
    assert len(stub.calls) == 1


async def test_a_publisher_may_say_when_to_begin(client: Client, application: Application) -> None:
    accepted = await client.submit(msg="hello")
    now = accepted["created_at"]
    await application.publish({"id": "later", "msg": "later"}, headers={"x-not-before": now + 3})

    async def is_known() -> bool:
        # Until a worker has taken it up, a foreign id is unknown.
        return (await client.poll("later")).status == 200

    await eventually(is_known)
    assert (await client.result("later"))["started_at"] >= now + 3
