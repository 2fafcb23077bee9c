"""The call of the model: the one place that imports openai. Its exceptions and texts never leave this module."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import openai
import structlog
from openai import AsyncOpenAI, Omit, omit
from openai.types.chat import ChatCompletion

from common import metrics
from common.jobs import Usage
from common.prompts import ChatMessage, Options
from gpt_worker import failures, retries
from gpt_worker.failures import Failure, UpstreamFailure
from gpt_worker.keys import KeyPool
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()

#: What the store's documents, 16 MB at most, can surely hold.
MAX_OUTPUT_CHARS = 2_000_000

OPENAI_URL = "https://api.openai.com/v1"
#: Seconds; an upstream that cannot be reached in this time is away.
CONNECT_TIMEOUT_S = 10

_UNUSED_KEY = "none"


@dataclass(frozen=True)
class Answer:
    """What the model said."""

    text: str
    model: str
    usage: Usage | None


class Completion:
    """Calls the chat completions of an OpenAI-compatible upstream, once for each attempt.

    The client's own retries are off: what a retry costs and when it happens is the worker's to decide.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        keys = [key.get_secret_value() for key in settings.openai_api_key] or [_UNUSED_KEY]
        _count_from_0(metrics.model_label(settings.openai_model))  # the first to get a label of its own
        self._keys = KeyPool(keys, settings.openai_key_rest_s)
        self._clients = {
            key: AsyncOpenAI(
                api_key=key,
                # Given always: from an empty variable the client would take an empty URL.
                base_url=settings.openai_base_url or OPENAI_URL,
                max_retries=0,
                timeout=settings.job_timeout_s,
            )
            for key in keys
        }

    async def answer(self, prompt: list[ChatMessage], model: str, options: Options, timeout_s: float) -> Answer:
        """The model's answer within `timeout_s` seconds; raises UpstreamFailure.

        A key that the upstream refuses is set aside and the next one tried: a refusal costs nothing.
        """
        started = time.perf_counter()
        result = "broken"
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._with_living_key(prompt, model, options)
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
        for client in self._clients.values():
            await client.close()

    async def _with_living_key(self, prompt: list[ChatMessage], model: str, options: Options) -> Answer:
        refused: dict[str, UpstreamFailure] = {}
        for key in self._keys.candidates():
            try:
                answer = await _call(self._clients[key], prompt, model, options)
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


async def _call(client: AsyncOpenAI, prompt: list[ChatMessage], model: str, options: Options) -> Answer:
    try:
        completion = await client.chat.completions.create(
            model=model,
            messages=[message.model_dump() for message in prompt],  # type: ignore[misc]
            temperature=_given(options.temperature),
            top_p=_given(options.top_p),
            max_tokens=_given(options.max_tokens),
            presence_penalty=_given(options.presence_penalty),
            frequency_penalty=_given(options.frequency_penalty),
            stop=_given(options.stop),
        )
    except openai.APITimeoutError as error:
        raise UpstreamFailure(Failure.TIMEOUT) from error
    except openai.APIStatusError as error:
        raise _failure_of(error) from error
    except (openai.APIConnectionError, OSError) as error:
        raise UpstreamFailure(Failure.CONNECTION) from error
    # ValueError: a body that is not JSON although its content type says so.
    except (openai.OpenAIError, ValueError) as error:
        raise UpstreamFailure(Failure.MALFORMED_ANSWER) from error
    return _answer_of(completion, model)


def _given(value: Any) -> Any | Omit:
    return omit if value is None else value


def _failure_of(error: openai.APIStatusError) -> UpstreamFailure:
    failure = failures.of_status(error.status_code, error.code, error.type)
    return UpstreamFailure(failure, retries.retry_after_s(error.response.headers))


def _answer_of(completion: ChatCompletion, asked_model: str) -> Answer:
    """The first choice's text; the client builds its objects without validation, so anything may be missing."""
    try:
        choice = completion.choices[0]
        text: Any = choice.message.content
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise UpstreamFailure(Failure.CONTENT_FILTER)
        model: Any = completion.model
        usage: Any = completion.usage
    except (AttributeError, IndexError, TypeError) as error:
        raise UpstreamFailure(Failure.MALFORMED_ANSWER) from error
    if not isinstance(text, str):
        raise UpstreamFailure(Failure.MALFORMED_ANSWER)
    if len(text) > MAX_OUTPUT_CHARS:
        raise UpstreamFailure(Failure.OVERSIZED_ANSWER)
    return Answer(_whole(text), model if isinstance(model, str) and model else asked_model, _usage_of(usage))


def _usage_of(usage: Any) -> Usage | None:
    try:
        return Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
        )
    except (AttributeError, ValueError):
        return None


def _count_from_0(model: str) -> None:
    for result in ("completed", *Failure):
        metrics.UPSTREAM_CALLS.labels(model, result)
    metrics.UPSTREAM_SECONDS.labels(model, "completed")
    for direction in ("input", "output"):
        metrics.TOKENS.labels(model, direction)


def _count_call(asked_model: str, result: str, seconds: float) -> None:
    model = metrics.asked_model_label(asked_model)
    metrics.UPSTREAM_CALLS.labels(model, result).inc()
    metrics.UPSTREAM_SECONDS.labels(model, result).observe(seconds)


def _count_tokens(answer: Answer) -> None:
    if answer.usage is not None:
        model = metrics.model_label(answer.model)
        metrics.TOKENS.labels(model, "input").inc(max(0, answer.usage.input_tokens))
        metrics.TOKENS.labels(model, "output").inc(max(0, answer.usage.output_tokens))


def _whole(text: str) -> str:
    """The text with surrogates joined, and replaced where they have no partner: UTF-8 has none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
