"""What a client may ask of the model, the same at both front doors: a prompt in one of three forms, and options."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from common.errors import InvalidRequest
from common.ids import FOREIGN
from common.jobs import Frozen
from common.templates import InvalidTemplate, Templates
from common.validation import problem_with

#: Bounds are in characters; the size of a whole request in bytes is bounded at the door that it comes in by.
MAX_PROMPT_CHARS = 200_000
MAX_MESSAGES = 256
MAX_METADATA_PAIRS = 16


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Text = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PROMPT_CHARS, json_schema_extra={"pattern": r"\S"}),
    AfterValidator(_not_blank),
]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]
StopSequence = Annotated[str, Field(min_length=1, max_length=64)]


class Closed(Frozen):
    """A document in which an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")


class ChatMessage(Closed):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Text


class Options(Closed):
    """How the model is to answer; what is left out is left to the worker's settings or to the model."""

    model: str | None = Field(default=None, min_length=1, max_length=128)
    system: Text | None = Field(default=None, description="a system message put before the others")
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[StopSequence] | None = Field(default=None, min_length=1, max_length=4)
    stream: bool | None = Field(
        default=None, description="false: the answer is told only when it is whole; true if left out"
    )
    timeout_s: float | None = Field(
        default=None, gt=0, le=86_400, description="seconds that one call of the model may take"
    )
    parent_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        pattern=f"^{FOREIGN.pattern}$",
        description="the id of a completed job, whose conversation this one continues",
    )


def _only(form: str, kind: str) -> dict[str, JsonValue]:
    """The JSON schema of a request whose prompt is in one form, which pydantic cannot derive."""
    others = {"msg", "messages", "template"} - {form}
    absent: dict[str, JsonValue] = {other: {"type": "null"} for other in sorted(others)}
    if form != "template":
        absent["inputs"] = {"type": "null"}
    return {"required": [form], "properties": {form: {"type": kind}, **absent}}


ONE_PROMPT: dict[str, JsonValue] = {
    "oneOf": [_only("msg", "string"), _only("messages", "array"), _only("template", "string")]
}


class JobRequest(Closed):
    """A prompt in exactly one of the forms `msg`, `messages`, `template` + `inputs`; and what goes with it."""

    model_config = ConfigDict(json_schema_extra=ONE_PROMPT)

    msg: Text | None = None
    messages: list[ChatMessage] | None = Field(default=None, min_length=1, max_length=MAX_MESSAGES)
    template: str | None = Field(default=None, min_length=1, max_length=64)
    inputs: dict[str, JsonValue] | None = Field(default=None, description="what the template is filled with")
    options: Options = Options()
    # Made, since pydantic would copy a default with copy.deepcopy; the schema is told of it all the same.
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default_factory=dict, max_length=MAX_METADATA_PAIRS, json_schema_extra={"default": {}}
    )

    @model_validator(mode="after")
    def _exactly_one_prompt(self) -> Self:
        forms = [name for name in ("msg", "messages", "template") if getattr(self, name) is not None]
        if not forms:
            raise problem_with("msg", "a prompt is required: one of msg, messages, template")
        if len(forms) > 1:
            raise problem_with(forms[1], f"give either {forms[0]} or {forms[1]}, not both")
        if len(self.messages or ()) + (self.options.system is not None) > MAX_MESSAGES:
            raise problem_with("messages", f"must be at most {MAX_MESSAGES}, the system message among them")
        if self.inputs is not None and self.template is None:
            raise problem_with("inputs", "inputs go with a template")
        return self

    def prompt(self, templates: Templates) -> list[ChatMessage]:
        """The messages to send to the model; raises InvalidRequest if the template or its inputs are wrong."""
        if self.msg is not None:
            prompt = [ChatMessage(role="user", content=self.msg)]
        elif self.messages is not None:
            prompt = self.messages
        else:
            prompt = _rendered(templates, self.template or "", self.inputs or {})
        if self.options.system is None:
            return prompt
        return [ChatMessage(role="system", content=self.options.system), *prompt]


def _rendered(templates: Templates, name: str, inputs: dict[str, JsonValue]) -> list[ChatMessage]:
    try:
        rendered = templates.render(name, inputs)
    except InvalidTemplate as error:
        raise InvalidRequest(error.message, error.param) from error
    return [ChatMessage(role=message.role, content=message.content) for message in rendered]
