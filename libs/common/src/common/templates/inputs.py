"""A template's inputs: what its schema must promise, and how a client's inputs are held against it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import JsonValue

_FORMATS = Draft202012Validator.FORMAT_CHECKER

# Said with the schema's side of the rule only, so that no client's value gets into a message.
_RULES: Final = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "pattern": "must match {}",
    "format": "must be in the format {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
}


class InvalidTemplate(Exception):
    """A client asked for a template that does not exist, or with inputs that it does not take.

    `param` is the dotted path of the field at fault; `message` never contains what the client sent.
    """

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param
        self.message = message


def validator_of(schema: dict[str, Any]) -> Draft202012Validator:
    """What inputs are held against; raises SchemaError or ValueError unless each is named and bounded in size."""
    Draft202012Validator.check_schema(schema)
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        raise ValueError('"type" must be "object" and "additionalProperties" false')
    if not schema.get("examples"):
        raise ValueError('"examples" must hold inputs to try the template with')
    for field, rule in schema.get("properties", {}).items():
        if problem := _loose(rule):
            raise ValueError(f"{field}: {problem}")
    return Draft202012Validator(schema, format_checker=_FORMATS)


def check_inputs(validator: Draft202012Validator, inputs: Mapping[str, JsonValue]) -> None:
    """Raise InvalidTemplate for the first thing wrong.

    First the unknown fields in alphabetical order, then each field in the order of the schema, missing or
    bad, then what concerns several fields at once.
    """
    schema: Any = validator.schema
    properties = schema.get("properties", {})
    for field in sorted(inputs.keys() - properties.keys()):
        raise _unknown(field)
    errors = list(validator.iter_errors(dict(inputs)))
    for field in properties:
        if field in schema.get("required", ()) and field not in inputs:
            raise InvalidTemplate(f"inputs.{field}", "is required")
        for error in errors:
            if error.absolute_path and error.absolute_path[0] == field:
                raise InvalidTemplate(".".join(["inputs", *map(str, error.absolute_path)]), _say(error))
    for error in errors:
        raise InvalidTemplate("inputs", _say(error))
    for field, value in inputs.items():
        _check_text(field, value)


def _loose(rule: object) -> str | None:
    """What keeps a field from being a bounded scalar or a bounded list of them."""
    if not isinstance(rule, dict) or not rule.keys() & {"type", "enum", "const"}:
        return 'needs a "type"'
    types = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type", [])
    if "object" in types:
        return "must not be an object: inputs are flat"
    if "string" in types and not rule.keys() & {"maxLength", "enum", "const"}:
        return 'needs a "maxLength"'
    if "format" in rule and rule["format"] not in _FORMATS.checkers:
        return 'has a "format" that cannot be checked here'
    if "array" in types:
        return _loose(rule.get("items")) if "maxItems" in rule else 'needs a "maxItems"'
    return None


def _unknown(field: str) -> InvalidTemplate:
    """The refusal of a field that the client invented; its name is repeated only if short and plain."""
    if field.isascii() and field.replace("_", "").isalnum() and len(field) <= 64:
        return InvalidTemplate(f"inputs.{field}", "is not an input of this template")
    return InvalidTemplate("inputs", "holds a field that is not an input of this template")


def _say(error: ValidationError) -> str:
    rule = error.validator_value
    text = ", ".join(map(str, rule)) if isinstance(rule, list) else str(rule)
    return _RULES.get(str(error.validator), "does not satisfy the schema of the inputs").format(text)


def _check_text(field: str, value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # a lone surrogate, NaN or infinity
        raise InvalidTemplate(f"inputs.{field}", "must hold no lone surrogate, NaN or infinity") from error
