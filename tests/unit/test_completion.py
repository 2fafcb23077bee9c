"""Calls of the model over real sockets: what is sent, and what each way of getting no answer is called."""

import asyncio
import gzip
import re
import socket
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress

import pytest
from pydantic import SecretStr

from common.prompts import ChatMessage, Options
from gpt_worker import transport
from gpt_worker.answers import Answer
from gpt_worker.completion import Completion, Write
from gpt_worker.failures import Failure, UpstreamFailure
from gpt_worker.settings import WorkerSettings
from gpt_worker.transport import proxy_for
from stack import replies
from stack.model_stub import ModelStub
from stack.ports import free_port
from tests.waiting import eventually

PROMPT = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="龙年?")]

ANSWER = b'{"choices": [{"message": {"content": "short"}}]}'


def settings(base_url: str, job_timeout_s: float = 20) -> WorkerSettings:
    nowhere = SecretStr("amqp://localhost")
    return WorkerSettings(
        amqp_url=nowhere,
        redis_url=SecretStr("redis://localhost"),
        mongo_url=SecretStr("mongodb://localhost"),
        openai_api_key=(SecretStr("sk-test"),),
        openai_base_url=base_url,
        job_timeout_s=job_timeout_s,
    )


async def ask(
    base_url: str, options: Options | None = None, timeout_s: float = 10, write: Write | None = None
) -> Answer:
    async with aclosing(Completion(settings(base_url))) as completion:
        return await completion.answer(PROMPT, "m", options or Options(), timeout_s, write)


async def failure_of(base_url: str, timeout_s: float = 10, write: Write | None = None) -> Failure:
    with pytest.raises(UpstreamFailure) as raised:
        await ask(base_url, timeout_s=timeout_s, write=write)
    return raised.value.failure


@contextmanager
def full_backlog() -> Iterator[str]:
    """A server that accepts nobody, and whose line is full: who connects hears nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        try:
            yield f"http://127.0.0.1:{address[1]}/v1"
        finally:
            for each in waiting:
                each.close()


async def test_what_is_sent(stub: ModelStub) -> None:
    options = Options(temperature=0.5, top_p=0.9, max_tokens=7, presence_penalty=1, frequency_penalty=2, stop=["x"])
    assert (await ask(stub.base_url, options)).text == "You said: 龙年?"
    (call,) = stub.calls
    passed_on = options.model_dump(exclude_none=True)
    assert call.body == {"model": "m", "messages": [message.model_dump() for message in PROMPT], **passed_on}
    assert (call.api_key, call.headers["content-type"]) == ("sk-test", "application/json")
    assert "idempotency-key" not in call.headers


async def test_what_is_not_given_is_not_sent(stub: ModelStub) -> None:
    await ask(stub.base_url, Options(timeout_s=5, system="Be brief."))
    assert set(stub.calls[0].body) == {"model", "messages"}


async def test_connections_are_used_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with aclosing(Completion(settings(url))) as completion:
            for _ in range(3):
                assert (await completion.answer(PROMPT, "m", Options(), 10)).text == "short"
    assert connections == 1


async def test_more_calls_at_once_than_a_session_allows_by_itself(stub: ModelStub) -> None:
    gate = asyncio.Event()
    stub.respond = replies.after(gate, replies.echo())
    async with aclosing(Completion(settings(stub.base_url))) as completion:
        calls = [asyncio.create_task(completion.answer(PROMPT, "m", Options(), 60)) for _ in range(150)]
        await stub.until(lambda stub: stub.in_flight == 150)
        gate.set()
        assert {answer.text for answer in await asyncio.gather(*calls)} == {"You said: 龙年?"}


async def test_an_answer_may_be_compressed(stub: ModelStub) -> None:
    stub.respond = replies.garbage(gzip.compress(ANSWER), {"Content-Encoding": "gzip"})
    assert (await ask(stub.base_url)).text == "short"


async def test_nobody_listens() -> None:
    assert await failure_of(f"http://127.0.0.1:{free_port()}/v1") is Failure.CONNECTION


async def test_no_such_host() -> None:
    assert await failure_of("http://no-such-host.invalid/v1") is Failure.CONNECTION


async def test_whoever_is_not_reached_soon_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.2)
    with full_backlog() as url:
        assert await failure_of(url) is Failure.CONNECTION


@pytest.mark.parametrize("after", [0, 1, 40])
async def test_a_connection_that_is_reset(stub: ModelStub, after: int) -> None:
    stub.respond = replies.reset(after)
    assert await failure_of(stub.base_url) is Failure.CONNECTION


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nhalf",
        b"SSH-2.0-x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("write", [None, lambda _: None], ids=["whole", "streamed"])
async def test_a_server_that_hangs_up(said: bytes, write: Write | None) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await failure_of(f"http://127.0.0.1:{port}/v1", write=write) is Failure.CONNECTION


async def test_no_answer_in_the_time_of_the_job(stub: ModelStub) -> None:
    stub.respond = replies.hang()
    assert await failure_of(stub.base_url, timeout_s=0.3) is Failure.TIMEOUT


async def test_no_answer_in_the_time_of_any_call(stub: ModelStub) -> None:
    stub.respond = replies.hang()
    async with aclosing(Completion(settings(stub.base_url, job_timeout_s=1))) as completion:
        with pytest.raises(UpstreamFailure) as raised:
            await completion.answer(PROMPT, "m", Options(), 20)
    assert raised.value.failure is Failure.TIMEOUT


async def test_what_an_error_says(stub: ModelStub) -> None:
    stub.respond = replies.status(429, code="insufficient_quota")
    assert await failure_of(stub.base_url) is Failure.QUOTA
    stub.respond = replies.status(503, headers={"Retry-After": "7"})
    with pytest.raises(UpstreamFailure) as raised:
        await ask(stub.base_url)
    assert (raised.value.failure, raised.value.asked_delay_s) == (Failure.SERVER_ERROR, 7)


async def test_a_call_that_is_given_up_is_hung_up(stub: ModelStub) -> None:
    stub.respond = replies.hang()
    async with aclosing(Completion(settings(stub.base_url))) as completion:
        call = asyncio.create_task(completion.answer(PROMPT, "m", Options(), 60))
        await stub.until(lambda stub: stub.in_flight == 1)
        call.cancel()
        await eventually(lambda: stub.in_flight == 0)


def test_the_proxy_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://api.openai.com/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://user:word@proxy:3128")
    assert proxy_for("https://api.openai.com/v1") == "http://user:word@proxy:3128"
    assert proxy_for("http://model/v1") is None
    monkeypatch.setenv("ALL_PROXY", "other:3128")
    assert proxy_for("http://model/v1") == "http://other:3128"
    monkeypatch.setenv("NO_PROXY", "localhost,.openai.com")
    assert proxy_for("https://api.openai.com/v1") is None


async def test_calls_go_through_the_proxy(stub: ModelStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", stub.base_url.removesuffix("/v1").replace("//", "//user:word@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await ask("http://model.invalid/v1")).text == "You said: 龙年?"
    assert stub.calls[0].headers["host"] == "model.invalid"
    assert stub.calls[0].headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"
