"""What may be asked of the model: one prompt in one of three forms, within bounds; whatever is wrong is named."""

from typing import Any

import pytest
from pydantic import ValidationError

from common.errors import InvalidRequest
from common.prompts import MAX_MESSAGES, MAX_METADATA_PAIRS, MAX_PROMPT_CHARS, ChatMessage, JobRequest
from common.templates import Templates
from common.validation import first_problem

MESSAGE = {"role": "user", "content": "hello"}
FORMS: dict[str, Any] = {"msg": "hello", "messages": [MESSAGE], "template": "fortune"}
BIRTH = {"gender": "female", "birth": "1990-01-02"}


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates.load()


def problem(document: Any) -> tuple[str | None, str]:
    with pytest.raises(ValidationError) as refusal:
        JobRequest.model_validate(document)
    return first_problem(refusal.value)


@pytest.mark.parametrize("form", FORMS)
def test_one_prompt_in_any_form_is_enough(form: str) -> None:
    JobRequest.model_validate({form: FORMS[form]})


def test_no_prompt_is_refused() -> None:
    assert problem({}) == ("msg", "a prompt is required: one of msg, messages, template")


@pytest.mark.parametrize(("first", "second"), [("msg", "messages"), ("msg", "template"), ("messages", "template")])
def test_two_prompts_are_refused_by_the_second_ones_name(first: str, second: str) -> None:
    document = {first: FORMS[first], second: FORMS[second]}
    assert problem(document) == (second, f"give either {first} or {second}, not both")


@pytest.mark.parametrize("form", ["msg", "messages"])
def test_inputs_without_a_template_are_refused(form: str) -> None:
    assert problem({form: FORMS[form], "inputs": {}}) == ("inputs", "inputs go with a template")


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"msg": "x" * MAX_PROMPT_CHARS}, None),
        ({"msg": "x" * (MAX_PROMPT_CHARS + 1)}, "msg"),
        ({"msg": ""}, "msg"),
        ({"msg": "\u3000\n"}, "msg"),
        ({"messages": [MESSAGE] * MAX_MESSAGES}, None),
        ({"messages": [MESSAGE] * (MAX_MESSAGES + 1)}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [MESSAGE, {"role": "tool", "content": "x"}]}, "messages.1.role"),
        ({"messages": [{**MESSAGE, "content": " "}]}, "messages.0.content"),
        ({"messages": [{**MESSAGE, "content": "x" * (MAX_PROMPT_CHARS + 1)}]}, "messages.0.content"),
        ({"messages": [{**MESSAGE, "name": "bob"}]}, "messages.0.name"),
        ({"template": "x" * 65}, "template"),
        ({"template": ""}, "template"),
        ({"template": "fortune", "inputs": []}, "inputs"),
        ({"msg": "x", "surprise": 1}, "surprise"),
        ({"msg": "x", "metadata": {str(n): "v" for n in range(MAX_METADATA_PAIRS)}}, None),
        ({"msg": "x", "metadata": {str(n): "v" for n in range(MAX_METADATA_PAIRS + 1)}}, "metadata"),
        ({"msg": "x", "metadata": {"k" * 64: "v" * 512}}, None),
        ({"msg": "x", "metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"msg": "x", "metadata": {"k": 1}}, "metadata.k"),
    ],
    ids=lambda part: str(part)[:60],
)
def test_bounds(document: Any, param: str | None) -> None:
    if param is None:
        JobRequest.model_validate(document)
    else:
        assert problem(document)[0] == param


@pytest.mark.parametrize("key", ["", "k" * 65])
def test_a_metadata_key_out_of_bounds_is_named(key: str) -> None:
    param = problem({"msg": "x", "metadata": {key: "v"}})[0]
    assert param is not None
    assert param.startswith("metadata")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("model", ["m", "x" * 128], ["", "x" * 129, 4]),
        ("system", ["be brief"], ["", " ", 4, "x" * (MAX_PROMPT_CHARS + 1)]),
        ("temperature", [0, 2, 0.7], [-0.01, 2.01, "1", True, float("nan")]),
        ("top_p", [0, 1], [-0.01, 1.01, "1"]),
        ("max_tokens", [1, 1_000_000], [0, 1_000_001, 1.5, "1", True]),
        ("presence_penalty", [-2, 2], [-2.01, 2.01]),
        ("frequency_penalty", [-2, 2], [-2.01, 2.01]),
        ("stop", [["a"], ["a", "b", "c", "d"]], [[], ["a", "b", "c", "d", "e"], "a"]),
        ("timeout_s", [0.5, 86_400], [0, -1, 86_401, float("inf")]),
    ],
)  # fmt: skip
def test_an_option_out_of_range_is_named(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        JobRequest.model_validate({"msg": "x", "options": {name: value}})
    for value in bad:
        assert problem({"msg": "x", "options": {name: value}})[0] == f"options.{name}", value


@pytest.mark.parametrize("stop", ["", "x" * 65, 1])
def test_a_stop_sequence_out_of_bounds_is_named_by_its_place(stop: Any) -> None:
    assert problem({"msg": "x", "options": {"stop": ["a", stop]}})[0] == "options.stop.1"


def test_an_unknown_option_is_named() -> None:
    assert problem({"msg": "x", "options": {"systemMessage": "x"}}) == ("options.systemMessage", "unknown field")


def test_a_message_becomes_a_users_message(templates: Templates) -> None:
    assert JobRequest(msg="hello").prompt(templates) == [ChatMessage(role="user", content="hello")]


def test_the_system_option_comes_before_the_others(templates: Templates) -> None:
    request = JobRequest.model_validate({"messages": [MESSAGE, MESSAGE], "options": {"system": "be brief"}})
    assert [message.role for message in request.prompt(templates)] == ["system", "user", "user"]
    assert request.prompt(templates)[0].content == "be brief"


def test_a_template_is_filled_with_the_inputs(templates: Templates) -> None:
    prompt = JobRequest(template="fortune", inputs=dict(BIRTH)).prompt(templates)
    assert "1990" in "".join(message.content for message in prompt)


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"template": "none-such"}, "template"),
        ({"template": "fortune"}, "inputs.gender"),
        ({"template": "fortune", "inputs": {**BIRTH, "birth": "soon"}}, "inputs.birth"),
        ({"template": "fortune", "inputs": {**BIRTH, "sign": "♌"}}, "inputs.sign"),
    ],
)  # fmt: skip
def test_an_unknown_template_or_bad_inputs_are_named(templates: Templates, document: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        JobRequest.model_validate(document).prompt(templates)
    assert refusal.value.param == param
