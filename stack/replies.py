"""What the model stub answers, well-behaved or not.

A behaviour is an async callable from `Call` to `Reply`; `stub.respond = status(429)` sets one.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_PIECES = 64


@dataclass(frozen=True)
class Call:
    """One call as it arrived."""

    #: time.monotonic() of its arrival.
    at: float
    model: str
    messages: tuple[Mapping[str, Any], ...]
    #: What followed "Bearer " in Authorization.
    api_key: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """The text of the last user message."""
        return next((_text(m.get("content")) for m in reversed(self.messages) if m.get("role") == "user"), "")


@dataclass(frozen=True)
class Reply:
    """What is sent back. A dict as body goes out as JSON; a str or bytes goes out as it is."""

    status: int = 200
    body: Mapping[str, Any] | str | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds of silence before the answer.
    delay: float = 0.0
    #: The connection is reset after this many bytes of the body; 0 resets it before a status line is sent.
    reset_after: int | None = None
    #: Seconds between two pieces of an answer that is streamed.
    pause: float = 0.0

    @property
    def payload(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)).encode()


Respond = Callable[[Call], Awaitable[Reply]]


def completion(call: Call, text: str, *, finish_reason: str = "stop") -> dict[str, Any]:
    """A chat.completion of the model asked for. Tokens are words, so that tests can foretell them."""
    asked = sum(len(_text(message.get("content")).split()) for message in call.messages)
    answered = len(text.split())
    return {
        "id": f"chatcmpl-stub-{call.at:.6f}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": call.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
        "system_fingerprint": None,
    }


def pieces(answer: str) -> list[str]:
    """The answer in at most MOST_PIECES parts, each but the last of as many characters."""
    size = max(8, math.ceil(len(answer) / MOST_PIECES))
    return [answer[start : start + size] for start in range(0, len(answer), size)] or [""]


def server_sent(whole: Mapping[str, Any]) -> list[bytes]:
    """A completion as it is streamed: its role, its text in pieces, why it ends, and what it cost."""
    choice = whole["choices"][0]
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": piece}, None) for piece in pieces(choice["message"]["content"])]
    deltas.append(({}, choice["finish_reason"]))
    head = {**whole, "object": "chat.completion.chunk", "usage": None}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
    chunks.append({**head, "choices": [], "usage": whole["usage"]})
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def error_body(message: str, *, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def echo(delay: float = 0.0, prefix: str = "You said: ", pause: float = 0.0) -> Respond:
    """`prefix` and then the prompt, character for character."""

    async def respond(call: Call) -> Reply:
        return Reply(body=completion(call, prefix + call.prompt), delay=delay, pause=pause)

    return respond


def text(answer: str, *, finish_reason: str = "stop", pause: float = 0.0) -> Respond:
    async def respond(call: Call) -> Reply:
        return Reply(body=completion(call, answer, finish_reason=finish_reason), pause=pause)

    return respond


def status(
    number: int,
    *,
    code: str | None = None,
    kind: str = "stub_error",
    headers: Mapping[str, str] | None = None,
) -> Respond:
    """An error in OpenAI's shape: 429 with code "insufficient_quota", and so on."""

    async def respond(_: Call) -> Reply:
        return Reply(number, error_body(f"the stub was told to answer {number}", kind=kind, code=code), headers or {})

    return respond


def hang() -> Respond:
    """No answer, until the client hangs up or the stub is stopped."""

    async def respond(_: Call) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    return respond


def reset(after: int = 40) -> Respond:
    """A good answer, cut off by a connection reset after so many bytes; 0: before the first."""

    async def respond(call: Call) -> Reply:
        return Reply(body=completion(call, call.prompt), reset_after=after)

    return respond


def garbage(
    body: str | bytes = '{"id": "chatcmpl-stub", "choices": [', headers: Mapping[str, str] | None = None
) -> Respond:
    """Status 200 and a body as it is, that need be no completion: by default half a JSON document."""

    async def respond(_: Call) -> Reply:
        return Reply(body=body, headers={"Content-Type": "application/json", **(headers or {})})

    return respond


def after(gate: asyncio.Event, then: Respond) -> Respond:
    """Nothing until the gate is opened, then that behaviour."""

    async def respond(call: Call) -> Reply:
        await gate.wait()
        return await then(call)

    return respond


def in_turn(*behaviours: Respond) -> Respond:
    """The first behaviour for the first call and so on; the last one stays."""
    left = list(behaviours)

    async def respond(call: Call) -> Reply:
        return await (left.pop(0) if len(left) > 1 else left[0])(call)

    return respond


def _text(content: object) -> str:
    """A message's content is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
