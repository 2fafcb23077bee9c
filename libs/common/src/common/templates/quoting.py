"""How a client's text enters a prompt: as JSON on one line, which no text can break out of."""

import json

from pydantic import JsonValue

# JSON uses them in strings only, so they can be escaped: then no text ends our block, a tag or a code fence.
_DELIMITERS = frozenset("<>&`")


class Block(str):
    """A value that is quoted already."""


def block(value: JsonValue) -> Block:
    """The value between `<data>` lines; the closing line cannot occur in the value."""
    return Block(f"<data>\n{quote(value)}\n</data>")


def quote(value: JsonValue) -> str:
    r"""The value as one line of JSON that parses back to it exactly.

    What a reader would not see (controls, line separators, zero-width, bidirectional and tag characters) is
    written as `\uXXXX`, and so are the delimiters. Raises ValueError for a lone surrogate, NaN or infinity.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if text.isprintable() and _DELIMITERS.isdisjoint(text):
        return text
    return "".join(_escape(char) if char in _DELIMITERS or not char.isprintable() else char for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
