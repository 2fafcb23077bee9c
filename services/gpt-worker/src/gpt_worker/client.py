"""The openai client, told to make only once what is the same in all calls with one key.

docs/adr/0025-what-calls-have-in-common-is-made-once.md has what that gains, and what it relies on.
"""

from typing import Any

import httpx2
import openai

from gpt_worker.transport import EVENTS

_STREAM = openai.AsyncStream[object]
PATH = "/chat/completions"
#: The client makes a random one for each call otherwise, and sends none either way.
_UNSENT: Any = {"idempotency_key": "unsent"}
_AS_EVENTS: Any = {**_UNSENT, "headers": {"Accept": EVENTS}}


class _Kind:
    """Calls that differ in nothing but their bodies: what is told the client of them, and the first request."""

    def __init__(self, told: Any) -> None:
        self.told = told
        self.options: Any = None
        self.first: httpx2.Request | None = None


class Client(openai.AsyncOpenAI):
    """Chat completions, whole or as events, of bytes."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self._whole, self._events = _Kind(_UNSENT), _Kind(_AS_EVENTS)

    @property
    def user_agent(self) -> str:
        """The real client's, which else would be named after this class."""
        return f"{openai.AsyncOpenAI.__name__}/Python {openai.__version__}"

    async def whole(self, body: bytes) -> httpx2.Response:
        """The answer, whole; raises OpenAIError."""
        kind = self._whole
        if kind.options is None:
            return await self.post(PATH, content=body, cast_to=httpx2.Response, options=kind.told)
        return await self.request(httpx2.Response, kind.options.model_copy(update={"content": body}))

    async def events(self, body: bytes) -> openai.AsyncStream[object]:
        """The answer as it comes; raises OpenAIError."""
        kind = self._events
        if kind.options is None:
            return await self.post(
                PATH, content=body, cast_to=object, options=kind.told, stream=True, stream_cls=_STREAM
            )
        return await self.request(
            object, kind.options.model_copy(update={"content": body}), stream=True, stream_cls=_STREAM
        )

    def _build_request(self, options: Any, *, retries_taken: int = 0) -> httpx2.Request:
        """The first of a kind is made by the client, the others like it, with other bodies."""
        kind = self._events if options.headers else self._whole
        first = kind.first
        if first is None:
            first = super()._build_request(options, retries_taken=retries_taken)
            del first.headers["Content-Length"]  # the transport's matter
            kind.first, kind.options = first, options.model_copy(update={"content": b""})
        body = httpx2.ByteStream(options.content)
        return httpx2.Request(
            first.method, first.url, headers=first.headers, stream=body, extensions=first.extensions
        )
