"""The call of the model, through client.py. The exceptions and texts of openai never leave this module."""

import asyncio
import time
from collections.abc import Callable

import httpx2
import openai
import orjson
import structlog

from common import metrics
from common.prompts import ChatMessage, Options
from gpt_worker import failures, retries
from gpt_worker.answers import Answer, answer_in
from gpt_worker.client import Client
from gpt_worker.failures import Failure, UpstreamFailure
from gpt_worker.keys import KeyPool
from gpt_worker.settings import WorkerSettings
from gpt_worker.streamed import StreamedAnswer
from gpt_worker.transport import new_client

log = structlog.get_logger()

OPENAI_URL = "https://api.openai.com/v1"
_UNUSED_KEY = "none"
#: The options that upstreams know by the same names.
_PASSED_ON = ("temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "stop")

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
_GENERAL_ERROR = 500

#: What is given each part of an answer.
Write = Callable[[str], None]


class Completion:
    """Calls the chat completions of an OpenAI-compatible upstream, once for each attempt.

    The client's own retries are off: what a retry costs and when it happens is the worker's to decide.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        keys = [key.get_secret_value() for key in settings.openai_api_key] or [_UNUSED_KEY]
        _count_from_0(metrics.model_label(settings.openai_model))  # the first to get a label of its own
        self._keys = KeyPool(keys, settings.openai_key_rest_s)
        # Given always: from an empty variable the client would take an empty URL.
        base_url = settings.openai_base_url or OPENAI_URL
        self._http = new_client(base_url, settings.job_timeout_s)
        self._clients = {
            key: Client(
                api_key=key,
                base_url=base_url,
                max_retries=0,
                timeout=self._http.timeout,
                http_client=self._http,
            )
            for key in keys
        }

    async def answer(
        self, prompt: list[ChatMessage], model: str, options: Options, timeout_s: float, write: Write | None = None
    ) -> Answer:
        """The model's answer within `timeout_s` seconds; raises UpstreamFailure.

        With `write` the answer is streamed, and each part of it given there as soon as it has come.
        A key that the upstream refuses is set aside and the next one tried: a refusal costs nothing.
        """
        started = time.perf_counter()
        result = "broken"
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._with_living_key(_request(prompt, model, options, write), model, write)
            result = "completed"
            metrics.model_label(model)
        except TimeoutError as error:
            result = Failure.TIMEOUT
            raise UpstreamFailure(Failure.TIMEOUT) from error
        except UpstreamFailure as failure:
            result = failure.failure
            raise
        except asyncio.CancelledError:
            result = "interrupted"
            raise
        finally:
            _count_call(model, result, time.perf_counter() - started)
        _count_tokens(answer)
        return answer

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _with_living_key(self, request: bytes, model: str, write: Write | None) -> Answer:
        refused: dict[str, UpstreamFailure] = {}
        for key in self._keys.candidates():
            try:
                answer = await _call(self._clients[key], request, model, write)
            except UpstreamFailure as failure:
                if not failure.blames_key:
                    raise
                log.warning("upstream_key_refused", code=failure.code, keys=len(self._clients))
                refused[key] = failure
            else:
                self._keys.taken(key, refused)
                return answer
        # The first to be asked was a living key, if there is one, and knows best.
        raise next(iter(refused.values()))


def _request(prompt: list[ChatMessage], model: str, options: Options, write: Write | None) -> bytes:
    """As JSON, to be kept while the call lasts: a copy, since what orjson makes takes 4 kB until it is let go."""
    request = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt],
        **{name: value for name in _PASSED_ON if (value := getattr(options, name)) is not None},
        **({} if write is None else _STREAMED),
    }
    return bytes(memoryview(orjson.dumps(request)))


async def _call(client: Client, request: bytes, model: str, write: Write | None) -> Answer:
    try:
        if write is None:
            return await _whole_answer(client, request, model)
        return await _streamed_answer(client, request, model, write)
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise UpstreamFailure(Failure.TIMEOUT) from error
    except openai.APIStatusError as error:
        raise _failure_of(error) from error
    # What is read after the head of a streamed answer, an error's text too, is read past the openai client.
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        raise UpstreamFailure(Failure.CONNECTION) from error
    except openai.APIError as error:
        # What a stream says when it cannot go on.
        raise UpstreamFailure(failures.of_status(_GENERAL_ERROR, error.code, error.type)) from error
    # ValueError: a chunk that is not JSON.
    except (openai.OpenAIError, ValueError) as error:
        raise UpstreamFailure(Failure.MALFORMED_ANSWER) from error


async def _whole_answer(client: Client, request: bytes, model: str) -> Answer:
    """The answer, read from bytes: to check the request and build the completion as objects costs as much again."""
    response = await client.whole(request)
    return answer_in(response.content, model)


async def _streamed_answer(client: Client, request: bytes, model: str, write: Write) -> Answer:
    """The answer in parts; whole all the same from an upstream that cannot do otherwise."""
    stream = await client.events(request)
    async with stream:
        if stream.response.headers.get("Content-Type", "").startswith("application/json"):
            return answer_in(await stream.response.aread(), model)
        answer = StreamedAnswer(model, write)
        async for chunk in stream:
            answer.take(chunk)
    return answer.end()


def _failure_of(error: openai.APIStatusError) -> UpstreamFailure:
    failure = failures.of_status(error.status_code, error.code, error.type)
    return UpstreamFailure(failure, retries.retry_after_s(error.response.headers))


def _count_from_0(model: str) -> None:
    for result in ("completed", *Failure):
        metrics.upstream_calls(model, result)
    metrics.upstream_seconds(model, "completed")
    for direction in ("input", "output"):
        metrics.tokens(model, direction)


def _count_call(asked_model: str, result: str, seconds: float) -> None:
    model = metrics.asked_model_label(asked_model)
    metrics.upstream_calls(model, result).inc()
    metrics.upstream_seconds(model, result).observe(seconds)


def _count_tokens(answer: Answer) -> None:
    if answer.usage is not None:
        model = metrics.model_label(answer.model)
        metrics.tokens(model, "input").inc(max(0, answer.usage.input_tokens))
        metrics.tokens(model, "output").inc(max(0, answer.usage.output_tokens))
