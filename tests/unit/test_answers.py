"""What the bytes of an answer say, and that nothing an upstream may send breaks the worker."""

import json
from typing import Any

import pytest

from common.jobs import Usage
from gpt_worker import answers
from gpt_worker.answers import answer_in
from gpt_worker.failures import Failure, UpstreamFailure

MESSAGE = {"role": "assistant", "content": "Yes.", "refusal": None}
COMPLETION = {
    "model": "gpt-4o-mini-2024",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def body(message: Any = MESSAGE, finish_reason: str = "stop", **fields: Any) -> bytes:
    choices = [{"message": message, "finish_reason": finish_reason}]
    return json.dumps({**COMPLETION, "choices": choices, **fields}).encode()


def text(content: str) -> dict[str, Any]:
    return {**MESSAGE, "content": content}


def failure_of(sent: bytes) -> Failure:
    with pytest.raises(UpstreamFailure) as raised:
        answer_in(sent, "asked")
    return raised.value.failure


def test_an_answer() -> None:
    answer = answer_in(body(), "asked")
    assert (answer.text, answer.model) == ("Yes.", "gpt-4o-mini-2024")
    assert answer.usage == Usage(input_tokens=1, output_tokens=2, total_tokens=3)


NO_JSON = (b"", b"<html>", b'{"choices": [', b"\xff\xfe\x00", b"[" * 100_000)
NO_OBJECTS: tuple[Any, ...] = (None, 7, "text", [], {})
NO_CHOICES: tuple[Any, ...] = (*NO_OBJECTS, [None], [[]], [{}])
NO_MESSAGES: tuple[Any, ...] = (*NO_OBJECTS, {"content": None}, {"content": 7}, {"content": ["a"]})


@pytest.mark.parametrize(
    "sent",
    [
        *NO_JSON,
        *(json.dumps(document).encode() for document in NO_OBJECTS),
        *(json.dumps({"choices": choices}).encode() for choices in NO_CHOICES),
        *(body(message) for message in NO_MESSAGES),
    ],
    ids=lambda sent: sent[:60].decode("ascii", "replace"),
)
def test_what_is_no_completion_is_malformed(sent: bytes) -> None:
    assert failure_of(sent) is Failure.MALFORMED_ANSWER


@pytest.mark.parametrize("content", [None, "", "Half an ans"])
def test_what_was_filtered(content: str | None) -> None:
    assert failure_of(body({**MESSAGE, "content": content}, "content_filter")) is Failure.CONTENT_FILTER
    assert failure_of(body({**MESSAGE, "content": content, "refusal": "I will not."})) is Failure.CONTENT_FILTER


def test_what_is_too_long_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_OUTPUT_CHARS", 10)
    assert answer_in(body(text("y" * 10)), "asked").text == "y" * 10
    assert failure_of(body(text("y" * 11))) is Failure.OVERSIZED_ANSWER


@pytest.mark.parametrize(
    ("sent", "whole"),
    [("\U0001f409", "\U0001f409"), ("\ud83d", "\ufffd"), ("a\udc09b", "a\ufffdb"), ("\ud83d\udc09", "\U0001f409")],
)
def test_half_of_a_character_is_replaced(sent: str, whole: str) -> None:
    answer = answer_in(body(text(sent), model=f"m{sent}"), "asked")
    assert (answer.text, answer.model) == (whole, f"m{whole}")


@pytest.mark.parametrize("model", [None, "", 7, ["m"]])
def test_an_answer_without_a_model_is_of_the_one_that_was_asked(model: object) -> None:
    assert answer_in(body(model=model), "asked").model == "asked"


@pytest.mark.parametrize("usage", [None, {}, [], "7", {"prompt_tokens": 1}, {**COMPLETION, "prompt_tokens": "1"}])
def test_an_answer_without_usage_is_still_an_answer(usage: object) -> None:
    assert answer_in(body(usage=usage), "asked").usage is None


def test_fields_that_we_do_not_need_may_be_missing() -> None:
    assert answer_in(b'{"choices": [{"message": {"content": "Yes."}}]}', "asked").text == "Yes."
