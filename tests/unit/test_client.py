"""What all calls with one key have in common is made once: each must be sent as the openai client alone would."""

from collections.abc import AsyncIterator

import httpx2
import openai
import orjson
import pytest
from aiohttp import web

from gpt_worker.client import PATH, Client
from gpt_worker.transport import EVENTS, new_client
from stack import replies
from stack.model_stub import ModelStub
from stack.replies import Call

BODIES = [orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * n}]}) for n in (1, 20, 300)]


@pytest.fixture
async def http(stub: ModelStub) -> AsyncIterator[httpx2.AsyncClient]:
    async with new_client(stub.base_url, 20) as client:
        yield client


def told(stub: ModelStub, http: httpx2.AsyncClient, key: str = "sk-one") -> dict[str, object]:
    return {
        "api_key": key,
        "base_url": stub.base_url,
        "max_retries": 0,
        "timeout": http.timeout,
        "http_client": http,
    }


def sent(calls: list[Call]) -> list[tuple[object, dict[str, str]]]:
    return [(call.body, dict(call.headers)) for call in calls]


async def test_a_whole_answer_is_asked_for_as_the_client_does(stub: ModelStub, http: httpx2.AsyncClient) -> None:
    ours, theirs = Client(**told(stub, http)), openai.AsyncOpenAI(**told(stub, http))  # type: ignore[arg-type]
    for body in BODIES:
        response = await ours.whole(body)
        assert orjson.loads(response.content)["object"] == "chat.completion"
    for body in BODIES:
        await theirs.post(PATH, content=body, cast_to=httpx2.Response)
    assert sent(stub.calls[:3]) == sent(stub.calls[3:])


async def test_events_are_asked_for_as_the_client_does(stub: ModelStub, http: httpx2.AsyncClient) -> None:
    ours, theirs = Client(**told(stub, http)), openai.AsyncOpenAI(**told(stub, http))  # type: ignore[arg-type]
    for body in BODIES:
        async with await ours.events(body) as stream:
            await stream.response.aread()
    for body in BODIES:
        headers = {"Accept": EVENTS}
        await theirs.post(PATH, content=body, cast_to=httpx2.Response, options={"headers": headers})
    assert sent(stub.calls[:3]) == sent(stub.calls[3:])


async def test_both_kinds_and_several_keys_stay_apart(stub: ModelStub, http: httpx2.AsyncClient) -> None:
    one, two = Client(**told(stub, http)), Client(**told(stub, http, "sk-two"))
    for client in (one, two, one, two):
        await client.whole(BODIES[0])
        await (await client.events(BODIES[0])).close()
    assert [call.api_key for call in stub.calls] == ["sk-one", "sk-one", "sk-two", "sk-two"] * 2
    assert [call.headers["accept"] for call in stub.calls] == ["application/json", EVENTS] * 4


async def test_after_a_refusal_the_next_call_is_the_same(stub: ModelStub, http: httpx2.AsyncClient) -> None:
    client = Client(**told(stub, http))
    stub.respond = replies.status(429)
    with pytest.raises(openai.RateLimitError):
        await client.whole(BODIES[0])
    stub.respond = replies.echo()
    await client.whole(BODIES[0])
    first, second = sent(stub.calls)
    assert first == second


async def test_a_redirect_is_followed(stub: ModelStub) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(stub.base_url + PATH)

    app = web.Application()
    app.router.add_post("/v1" + PATH, elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    async with new_client(base_url, 20) as http:
        client = Client(**{**told(stub, http), "base_url": base_url})
        for body in BODIES:
            assert orjson.loads((await client.whole(body)).content)["object"] == "chat.completion"
    await runner.cleanup()
    assert [call.body for call in stub.calls] == [orjson.loads(body) for body in BODIES]
