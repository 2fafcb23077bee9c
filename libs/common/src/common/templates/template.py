"""One template: a folder's files, read and tried out once, and the messages made from them."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import jinja2
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jsonschema import Draft202012Validator
from pydantic import JsonValue

from common.templates.fortune import fortune_facts
from common.templates.inputs import check_inputs, validator_of
from common.templates.quoting import Block, block, quote

Role = Literal["system", "user"]
Derive = Callable[[Mapping[str, JsonValue]], dict[str, JsonValue]]
#: From `inputs` and `facts` to the text of a message.
Write = Callable[[Mapping[str, Any]], str]

#: By template: the function that works out `facts` from inputs that satisfy the schema.
DERIVE: Final[Mapping[str, Derive]] = {"fortune": fortune_facts}

_FILES: Final[tuple[tuple[Role, str], ...]] = (("system", "system.jinja"), ("user", "prompt.jinja"))


class BrokenTemplate(Exception):
    """The files of a template cannot be served as they are; the message is for the operator."""


@dataclass(frozen=True)
class RenderedMessage:
    """One message of the prompt."""

    role: Role
    content: str


@dataclass(frozen=True)
class Template:
    """A template that has rendered its own examples, so that it fails at start or not at all."""

    name: str
    schema: dict[str, Any]
    validator: Draft202012Validator
    messages: tuple[tuple[Role, Write], ...]

    def render(self, inputs: Mapping[str, JsonValue]) -> tuple[RenderedMessage, ...]:
        """The messages for these inputs; raises InvalidTemplate if the template does not take them."""
        check_inputs(self.validator, inputs)
        facts = DERIVE[self.name](inputs) if self.name in DERIVE else {}
        absent = dict.fromkeys(self.schema.get("properties", {}))
        seen = {"inputs": absent | dict(inputs), "facts": facts}
        return tuple(RenderedMessage(role, write(seen)) for role, write in self.messages)


def read_template(folder: Path) -> Template:
    """The template of the folder; raises BrokenTemplate, saying what is wrong where."""
    try:
        schema = json.loads((folder / "inputs.schema.json").read_text("utf-8"))
        template = Template(folder.name, schema, validator_of(schema), tuple(_messages(folder)))
        for example in schema["examples"]:
            template.render(example)
    except Exception as error:
        raise BrokenTemplate(f"template {folder.name!r}: {type(error).__name__}: {error}") from error
    return template


def _finish(value: JsonValue | jinja2.Undefined) -> str | jinja2.Undefined:
    """What a `{{ … }}` prints: JSON, so that an author who forgets to quote a client's text has quoted it."""
    if isinstance(value, Block | jinja2.Undefined):
        return value  # an undefined value raises as soon as it is printed
    return quote(value)


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # a prompt is not HTML; _finish quotes
    finalize=_finish,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["data"] = block


def _messages(folder: Path) -> Iterator[tuple[Role, Write]]:
    if stray := {path.name for path in folder.glob("*.jinja")} - {file for _, file in _FILES}:
        raise ValueError(f"{', '.join(sorted(stray))}: neither prompt.jinja nor system.jinja")
    for role, file in _FILES:
        if role == "user" or (folder / file).exists():
            yield role, _compile(folder / file)


def _compile(path: Path) -> Write:
    text = path.read_text("utf-8")
    variables = find_undeclared_variables(_ENVIRONMENT.parse(text))
    if unknown := variables - {"inputs", "facts"}:
        raise ValueError(f"{path.name}: unknown variables {sorted(unknown)}; there are inputs and facts")
    template = _ENVIRONMENT.from_string(text)
    if variables:
        return template.render
    always = template.render()
    return lambda _: always
