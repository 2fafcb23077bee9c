"""A template is a folder: what loads, what stops the loading, and how inputs are held against any schema."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from common.templates import BrokenTemplate, InvalidTemplate, RenderedMessage, Templates
from common.templates.catalogue import LIBRARY
from tests.unit.templates.conftest import Add


def test_the_packaged_library_documents_each_input(templates: Templates) -> None:
    assert templates.names == ("fortune",)
    for name in templates.names:
        schema = templates.schema(name)
        assert schema["title"]
        assert all(rule["title"] and rule["description"] for rule in schema["properties"].values())


def test_a_schema_is_the_callers_own_copy(templates: Templates) -> None:
    templates.schema("fortune")["properties"].clear()
    assert "birth" in templates.schema("fortune")["properties"]


@pytest.mark.parametrize("name", ["tarot", "", "../fortune", "Fortune", "fortune\n"])
def test_an_unknown_template_is_refused(templates: Templates, name: str) -> None:
    for ask in (lambda: templates.render(name, {}), lambda: templates.schema(name)):
        with pytest.raises(InvalidTemplate) as refused:
            ask()
        assert (refused.value.param, refused.value.message) == ("template", "must be one of fortune")


def test_a_folder_is_a_template(add: Add) -> None:
    library = add("Answer in the tone of {{ inputs.tone or 'your choice' }}.\n{{ inputs | data }}\n")
    (library / "echo" / "system.jinja").write_text("Echo what you are given.\n", "utf-8")
    (library / "..data").mkdir()
    (library / "README.md").touch()
    loaded = Templates.load(library)
    assert loaded.names == ("echo",)
    assert loaded.render("echo", {"text": "hi", "tone": "dry"}) == (
        RenderedMessage("system", "Echo what you are given."),
        RenderedMessage("user", 'Answer in the tone of "dry".\n<data>\n{"text": "hi", "tone": "dry"}\n</data>'),
    )


def test_a_system_message_is_optional(add: Add) -> None:
    assert [m.role for m in Templates.load(add()).render("echo", {"text": "hi"})] == ["user"]


def test_an_operators_own_fortune_gets_the_same_facts(tmp_path: Path) -> None:
    shutil.copytree(LIBRARY / "fortune", tmp_path / "fortune")
    (tmp_path / "fortune" / "prompt.jinja").write_text("{{ facts['生肖'] }}", "utf-8")
    message = Templates.load(tmp_path).render("fortune", {"gender": "男", "birth": "1990-01-01"})[1]
    assert message.content == '"蛇"'


def test_a_value_that_the_author_forgot_to_quote_is_quoted(add: Add) -> None:
    loaded = Templates.load(add("Say: {{ inputs.text }}"))
    assert loaded.render("echo", {"text": "a\n</b> {{"})[0].content == 'Say: "a\\n\\u003c/b\\u003e {{"'


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"type": "array"}, '"type" must be "object"'),
        ({"additionalProperties": True}, '"additionalProperties" false'),
        ({"examples": []}, '"examples" must hold'),
        ({"examples": [{"text": 1}]}, "inputs.text: must be of type string"),
        ({"examples": [{}]}, "inputs.text: is required"),
        ({"required": "text"}, "SchemaError"),
        ({"properties": {"text": {"type": "string"}}}, 'text: needs a "maxLength"'),
        ({"properties": {"text": {"type": ["null", "string"]}}}, 'text: needs a "maxLength"'),
        ({"properties": {"text": {}}}, 'text: needs a "type"'),
        ({"properties": {"text": True}}, 'text: needs a "type"'),
        ({"properties": {"text": {"type": "object"}}}, "text: must not be an object"),
        ({"properties": {"text": {"type": "array"}}}, 'text: needs a "maxItems"'),
        ({"properties": {"text": {"type": "array", "maxItems": 2}}}, 'text: needs a "type"'),
        (
            {"properties": {"text": {"type": "string", "maxLength": 9, "format": "zodiac"}}},
            'text: has a "format" that cannot be checked',
        ),
    ],
)
def test_a_bad_schema_stops_the_loading(add: Add, changes: dict[str, Any], complaint: str) -> None:
    broken(add(**changes), "template 'echo': ", complaint)


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ name }}", "prompt.jinja: unknown variables ['name']"),
        ("{{ inputs.nmae }}", "has no attribute 'nmae'"),
        ("{{ inputs.text.__class__ }}", "SecurityError"),
        ("{{ inputs.update({}) }}", "SecurityError"),
        ("{% include 'other' %}", "no loader"),
    ],
)
def test_a_bad_prompt_stops_the_loading(add: Add, prompt: str, complaint: str) -> None:
    broken(add(prompt), "template 'echo': ", complaint)


def test_bad_files_stop_the_loading(add: Add) -> None:
    library = add()
    (library / "echo" / "sytem.jinja").touch()
    broken(library, "sytem.jinja: neither prompt.jinja nor system.jinja")
    (library / "echo" / "sytem.jinja").unlink()
    (library / "echo" / "prompt.jinja").write_bytes(b"\xff")
    broken(library, "UnicodeDecodeError")
    (library / "echo" / "prompt.jinja").unlink()
    broken(library, "FileNotFoundError", "prompt.jinja")
    (library / "echo" / "inputs.schema.json").write_text("{", "utf-8")
    broken(library, "JSONDecodeError")
    (library / "echo" / "inputs.schema.json").unlink()
    broken(library, "FileNotFoundError", "inputs.schema.json")


def test_a_library_without_a_template_or_with_an_unspeakable_one_is_refused(add: Add, tmp_path: Path) -> None:
    broken(tmp_path, "no template in")
    broken(tmp_path / "missing", "no template in")
    broken(add(name="Écho"), "template 'Écho': the name must match")


@pytest.mark.parametrize(
    ("rule", "value", "param", "message"),
    [
        ({"enum": ["warm", "dry"]}, "hot", "inputs.text", "must be one of warm, dry"),
        ({"type": "string", "maxLength": 9, "pattern": "^a"}, "b", "inputs.text", "must match ^a"),
        (
            {"type": "string", "maxLength": 10, "format": "date"},
            "x",
            "inputs.text",
            "must be in the format date",
        ),
        ({"type": "number", "minimum": 1}, 0, "inputs.text", "must be at least 1"),
        ({"type": "number"}, float("nan"), "inputs.text", "must hold no lone surrogate, NaN or infinity"),
        ({"type": "number", "multipleOf": 2}, 3, "inputs.text", "does not satisfy the schema of the inputs"),
        (
            {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
            ["ok", "long"],
            "inputs.text.1",
            "must have at most 3 characters",
        ),
        (
            {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
            ["ok", "\udfff"],
            "inputs.text",
            "must hold no lone surrogate, NaN or infinity",
        ),
    ],
)
def test_each_rule_of_a_schema_has_its_message(
    add: Add, rule: dict[str, Any], value: JsonValue, param: str, message: str
) -> None:
    loaded = Templates.load(add("{{ inputs | data }}", properties={"text": rule}, required=[], examples=[{}]))
    with pytest.raises(InvalidTemplate) as refused:
        loaded.render("echo", {"text": value})
    assert (refused.value.param, refused.value.message) == (param, message)


def test_a_rule_across_fields_is_reported_for_the_inputs(add: Add) -> None:
    loaded = Templates.load(add(dependentRequired={"text": ["tone"]}, examples=[{"text": "a", "tone": "dry"}]))
    with pytest.raises(InvalidTemplate) as refused:
        loaded.render("echo", {"text": "a"})
    assert refused.value.param == "inputs"


def broken(library: Path, *complaints: str) -> None:
    with pytest.raises(BrokenTemplate) as refused:
        Templates.load(library)
    for complaint in complaints:
        assert complaint in str(refused.value)
