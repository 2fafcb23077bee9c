"""Says in words what is wrong with a document, by the dotted path of the field and without its value."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

_IN_OUR_WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown field",
    "json_invalid": "the body is not valid JSON in UTF-8",
}


def problem_with(param: str, message: str) -> PydanticCustomError:
    """What a validator of a whole document raises to name the field at fault."""
    # The braces of a message would be taken for placeholders.
    return PydanticCustomError("problem", "{reason}", {"param": param, "reason": message})


def first_problem(error: ValidationError) -> tuple[str | None, str]:
    """The path and the message of the first thing wrong; the path is None for the document as a whole."""
    details = error.errors(include_url=False, include_input=False)[0]
    return _path(details), _IN_OUR_WORDS.get(details["type"], details["msg"])


def _path(details: ErrorDetails) -> str | None:
    if details["type"] == "problem":
        return str(details["ctx"]["param"])
    path = ".".join(str(part) for part in details["loc"])
    return path or None
