"""What an upstream has answered, read from the bytes of a chat completion; anything may be missing or odd in it."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from common.jobs import Usage
from gpt_worker.failures import Failure, UpstreamFailure

#: What the store's documents, 16 MB at most, can surely hold.
MAX_OUTPUT_CHARS = 2_000_000


@dataclass(frozen=True)
class Answer:
    """What the model said."""

    text: str
    model: str
    usage: Usage | None


def answer_in(body: bytes, asked_model: str) -> Answer:
    """The first choice's text; raises UpstreamFailure."""
    try:
        completion = _parsed(body)
        choice = completion["choices"][0]
        message = choice["message"]
        text: Any = message["content"]
        if choice.get("finish_reason") == "content_filter" or message.get("refusal"):
            raise UpstreamFailure(Failure.CONTENT_FILTER)
        model: Any = completion.get("model")
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise UpstreamFailure(Failure.MALFORMED_ANSWER) from error
    if not isinstance(text, str):
        raise UpstreamFailure(Failure.MALFORMED_ANSWER)
    if len(text) > MAX_OUTPUT_CHARS:
        raise UpstreamFailure(Failure.OVERSIZED_ANSWER)
    model = whole(model) if isinstance(model, str) and model else asked_model
    return Answer(whole(text), model, usage_in(completion.get("usage")))


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        # It takes no half of a surrogate pair, nor NaN; the standard library does.
        return json.loads(body)


def usage_in(usage: Any) -> Usage | None:
    """What the answer cost, if it says so as it should."""
    try:
        return Usage(
            input_tokens=usage["prompt_tokens"],
            output_tokens=usage["completion_tokens"],
            total_tokens=usage["total_tokens"],
        )
    except (LookupError, TypeError, ValueError):
        return None


def whole(text: str) -> str:
    """The text with surrogates joined, and replaced where they have no partner: UTF-8 has none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
