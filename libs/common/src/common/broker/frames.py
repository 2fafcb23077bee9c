"""A message as the frames of AMQP 0-9-1 that follow a publish: what is said of it, and its body in parts.

The form is that of the specification (sections 4.2.3, 4.2.5.5 and 4.2.6) with the field types that RabbitMQ knows
(https://www.rabbitmq.com/amqp-0-9-1-errata#section_3). pamqp says the same in six times the time; but of numbers with
a fraction it keeps 32 bits, and this all 64.
"""

import struct
from functools import lru_cache

from common.broker.wire import in_one_frame
from common.messages import HeaderValue, Message

_HEADER, _BODY, _END = 2, 3, b"\xce"
_BASIC, _WEIGHT = 60, 0
_START = struct.Struct(">BHI")
_SIZES = struct.Struct(">HHQH")
_LONG, _LONG_STRING = struct.Struct(">I"), struct.Struct(">cI")
_INTEGER, _DOUBLE, _TIMESTAMP = struct.Struct(">cq"), struct.Struct(">cd"), struct.Struct(">Q")
_PERSISTENT = b"\x02"
_CONTENT_TYPE = b"\x10application/json"

_NAMES_REMEMBERED = 256

# Which properties are there: a bit each. The first four are there always.
_ALWAYS = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7  # content type, headers, delivery mode, message id
_CORRELATION_ID, _REPLY_TO, _EXPIRATION, _TIME = 1 << 10, 1 << 9, 1 << 8, 1 << 6


def message_frames(message: Message, message_id: str, expiration_ms: int | None, channel: int, most: int) -> bytes:
    """A persistent message of JSON, in frames for a channel with at most so many bytes of the body in each."""
    body = message.body
    header = _content_header(message, message_id, expiration_ms)
    frames = [_START.pack(_HEADER, channel, len(header)), header, _END]
    for start in range(0, len(body), most):
        part = body[start : start + most]
        frames += (_START.pack(_BODY, channel, len(part)), part, _END)
    return b"".join(frames)


def _content_header(message: Message, message_id: str, expiration_ms: int | None) -> bytes:
    """Its properties in the order of the specification, which is that of their bits."""
    table = b"".join([_field(name, value) for name, value in in_one_frame(message.headers).items()])
    flags, said = _ALWAYS, [_CONTENT_TYPE, _LONG.pack(len(table)), table, _PERSISTENT]
    if message.correlation_id is not None:
        flags |= _CORRELATION_ID
        said.append(_short(message.correlation_id))
    if message.reply_to is not None:
        flags |= _REPLY_TO
        said.append(_short(message.reply_to))
    if expiration_ms is not None:
        flags |= _EXPIRATION
        said.append(_short(str(expiration_ms)))
    said.append(_short(message_id))
    if message.timestamp is not None:
        flags |= _TIME
        said.append(_TIMESTAMP.pack(int(message.timestamp)))
    return _SIZES.pack(_BASIC, _WEIGHT, len(message.body), flags) + b"".join(said)


def _field(name: str, value: HeaderValue) -> bytes:
    """A header: its name, the letter of its type, and its value."""
    if isinstance(value, str):
        text = value.encode()
        return b"%b%b%b" % (_name(name), _LONG_STRING.pack(b"S", len(text)), text)
    if isinstance(value, bool):
        return _name(name) + (b"t\x01" if value else b"t\x00")
    if isinstance(value, int):
        return _name(name) + _INTEGER.pack(b"l", value)
    return _name(name) + (b"V" if value is None else _DOUBLE.pack(b"d", value))


@lru_cache(_NAMES_REMEMBERED)
def _name(name: str) -> bytes:
    return _short(name)


def _short(text: str) -> bytes:
    """A text of at most 255 bytes, as all are that came over the wire in the same form."""
    encoded = text.encode()
    return b"%c%b" % (len(encoded), encoded)
