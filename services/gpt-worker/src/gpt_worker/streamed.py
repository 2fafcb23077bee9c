"""An answer that comes in chunks, as chat completions are streamed; anything may be missing or odd in them."""

from collections.abc import Callable
from typing import Any

from gpt_worker.answers import MAX_OUTPUT_CHARS, Answer, usage_in, whole
from gpt_worker.failures import Failure, UpstreamFailure


class StreamedAnswer:
    """What has come of an answer; each part of its text is given to `write` as soon as it is there."""

    def __init__(self, asked_model: str, write: Callable[[str], None]) -> None:
        self._model = asked_model
        self._write = write
        self._parts: list[str] = []
        self._length = 0
        # The first half of a surrogate pair, of which upstreams may send the halves apart.
        self._half = ""
        self._usage: Any = None
        self._has_ended = False

    def take(self, chunk: Any) -> None:
        """Add a chunk; raises UpstreamFailure."""
        try:
            model = chunk.get("model")
            self._usage = chunk.get("usage") or self._usage
            choices = chunk.get("choices") or []
            choice = choices[0] if choices else {}
            delta = choice.get("delta") or {}
            text, end = delta.get("content"), choice.get("finish_reason")
            if end == "content_filter" or delta.get("refusal"):
                raise UpstreamFailure(Failure.CONTENT_FILTER)
        except (AttributeError, LookupError, TypeError) as error:
            raise UpstreamFailure(Failure.MALFORMED_ANSWER) from error
        if isinstance(model, str) and model:
            self._model = model
        if isinstance(text, str):
            self._add(text)
        elif text is not None:
            raise UpstreamFailure(Failure.MALFORMED_ANSWER)
        self._has_ended = self._has_ended or end is not None

    def end(self) -> Answer:
        """The whole answer; raises UpstreamFailure if it broke off."""
        if not self._has_ended:
            raise UpstreamFailure(Failure.CONNECTION)
        if self._half:
            self._add("", is_last=True)
        if not self._parts:
            raise UpstreamFailure(Failure.MALFORMED_ANSWER)
        return Answer("".join(self._parts), whole(self._model), usage_in(self._usage))

    def _add(self, text: str, *, is_last: bool = False) -> None:
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff" and not is_last:
            text, self._half = text[:-1], text[-1]
        self._length += len(text)
        if self._length > MAX_OUTPUT_CHARS:
            raise UpstreamFailure(Failure.OVERSIZED_ANSWER)
        text = whole(text)
        self._parts.append(text)
        if text:
            self._write(text)
