"""A model API so lean that it holds up no worker: chat completions over a bare protocol, and no checks.

    python -m bench.model --port 18106

A prompt that begins with "after 2.5 s:" is answered so many seconds after its arrival, any other at once. The answer
is "You asked: " and the prompt. `GET /stats` tells what was counted, and when, on the clock that all processes of the
machine share; `POST /reset` begins anew.
"""

import argparse
import asyncio
import re
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import orjson
import uvloop

ANSWER = "You asked: "
DELAY = re.compile(r"after (\d+(?:\.\d+)?) s:")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Stats:
    """Moments are of time.monotonic()."""

    calls: int = 0
    answered: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    first_call_at: float = 0.0
    last_answer_at: float = 0.0
    #: For each prompt that asked for a delay, when its answer was handed to the kernel.
    written_at: dict[str, float] = field(default_factory=dict)


class Connection(asyncio.Protocol):
    """One request after the other, as every client that keeps connections sends them."""

    def __init__(self, stats: list[Stats]) -> None:
        self._stats = stats
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        stats = self._stats[0]
        if path.endswith(b"/chat/completions"):
            self._complete(stats, orjson.loads(body))
        elif path == b"/reset":
            self._stats[0] = Stats()
            self._write(b"{}")
        else:
            self._write(orjson.dumps(asdict(stats)))

    def _complete(self, stats: Stats, request: dict[str, object]) -> None:
        messages = request["messages"]
        assert isinstance(messages, list)
        prompt: str = messages[-1]["content"]
        now = time.monotonic()
        stats.first_call_at = stats.first_call_at or now
        stats.calls += 1
        stats.in_flight += 1
        stats.peak_in_flight = max(stats.peak_in_flight, stats.in_flight)
        delay = DELAY.match(prompt)
        if delay is None:
            self._finish(stats, prompt, request["model"])
            return
        stats.written_at[prompt] = 0.0
        asyncio.get_running_loop().call_later(float(delay[1]), self._finish, stats, prompt, request["model"])

    def _finish(self, stats: Stats, prompt: str, model: object) -> None:
        text = ANSWER + prompt
        self._write(orjson.dumps(_completion(text, model, stats.calls)))
        stats.in_flight -= 1
        stats.answered += 1
        stats.last_answer_at = time.monotonic()
        if prompt in stats.written_at:
            stats.written_at[prompt] = stats.last_answer_at

    def _write(self, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(HEAD % len(body) + body)


def _completion(text: str, model: object, number: int) -> dict[str, object]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 22},
        "system_fingerprint": None,
    }


async def serve(port: int) -> None:
    stats = [Stats()]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stats), "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.model", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
