"""An answer put together from chunks, of which any may be odd."""

from typing import Any

import pytest

from gpt_worker.answers import MAX_OUTPUT_CHARS
from gpt_worker.failures import Failure, UpstreamFailure
from gpt_worker.streamed import StreamedAnswer

END: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def chunk(text: Any) -> dict[str, Any]:
    return {"model": "a-model", "choices": [{"delta": {"content": text}, "finish_reason": None}], "usage": None}


def streamed(*chunks: Any) -> tuple[StreamedAnswer, list[str]]:
    written: list[str] = []
    answer = StreamedAnswer("asked", written.append)
    for each in chunks:
        answer.take(each)
    return answer, written


def failure_of(*chunks: Any) -> Failure:
    with pytest.raises(UpstreamFailure) as caught:
        streamed(*chunks)[0].end()
    return caught.value.failure


def test_the_parts_make_the_text_and_each_is_written_at_once() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    answer, written = streamed(chunk(""), chunk("Hel"), chunk("lo"), END, {"choices": [], "usage": usage})
    whole = answer.end()
    assert (whole.text, whole.model, written) == ("Hello", "a-model", ["Hel", "lo"])
    assert whole.usage is not None
    assert whole.usage.total_tokens == 3


def test_halves_of_a_character_are_written_together() -> None:
    answer, written = streamed(chunk("a\ud83d"), chunk("\udc4b"), END)
    assert answer.end().text == "".join(written) == "a👋"


@pytest.mark.parametrize("half", ["\ud83d", "\udc4b"], ids=["first", "second"])  # noqa: PT014 (ruff takes them for the same)
def test_a_half_without_the_other_is_replaced(half: str) -> None:
    answer, written = streamed(chunk(f"a{half}"), END)
    assert answer.end().text == "".join(written) == "a\ufffd"


def test_an_empty_answer_is_one() -> None:
    assert streamed(chunk(""), END)[0].end().text == ""


def test_what_ends_without_saying_so_broke_off() -> None:
    assert failure_of(chunk("Hel")) is Failure.CONNECTION


@pytest.mark.parametrize(
    "odd",
    [None, 7, "text", [], {"choices": 3}, {"choices": [7]}, {"choices": [{"delta": 7}]}, chunk(7), chunk(["a"])],
)
def test_an_odd_chunk_is_no_answer(odd: Any) -> None:
    assert failure_of(odd, END) is Failure.MALFORMED_ANSWER


def test_no_text_at_all_is_no_answer() -> None:
    assert failure_of(END) is Failure.MALFORMED_ANSWER


@pytest.mark.parametrize(
    "refusal",
    [
        {"choices": [{"delta": {}, "finish_reason": "content_filter"}]},
        {"choices": [{"delta": {"refusal": "no"}, "finish_reason": None}]},
    ],
)
def test_a_refusal_is_told_from_an_answer(refusal: Any) -> None:
    assert failure_of(chunk("Hel"), refusal) is Failure.CONTENT_FILTER


def test_an_endless_answer_is_given_up() -> None:
    assert failure_of(chunk("x" * MAX_OUTPUT_CHARS), chunk("y")) is Failure.OVERSIZED_ANSWER
