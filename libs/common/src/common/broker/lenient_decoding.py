"""Lets a message with unreadable properties be delivered, in place of losing the connection over it.

pamqp raises while it decodes the header of a message whose timestamp is beyond the year 9999 or whose strings
are not UTF-8. aiormq then closes the connection, the broker delivers the message again, and so on for ever:
one message of a careless publisher would stop every worker. See docs/adr/0009-lenient-amqp-decoding.md.
"""

import struct
from collections.abc import Callable
from typing import Any

from pamqp import decode

Decoder = Callable[[bytes], tuple[int, Any]]


def tolerate_unreadable_properties() -> None:
    """From now on, an unreadable timestamp is None, a string lacks what is not UTF-8, a table is empty."""
    timestamp = _or_else(decode.timestamp, lambda _: (8, None))
    table = _or_else(decode.field_table, _skipped_table)
    decode.METHODS.update({"timestamp": timestamp, "table": table, "shortstr": _short_string})
    decode.TABLE_MAPPING.update({b"T": timestamp, b"F": table})


def _or_else(decoder: Decoder, fallback: Decoder) -> Decoder:
    def decode_or_fall_back(value: bytes) -> tuple[int, Any]:
        try:
            return decoder(value)
        except (ValueError, OverflowError, OSError):
            return fallback(value)

    return decode_or_fall_back


def _skipped_table(value: bytes) -> tuple[int, Any]:
    (length,) = struct.unpack(">I", value[:4])
    return 4 + length, {}


def _short_string(value: bytes) -> tuple[int, str]:
    """Never longer than it was: replacement characters would make it too long to be published again."""
    end = 1 + value[0]
    return end, value[1:end].decode("utf-8", "ignore")
