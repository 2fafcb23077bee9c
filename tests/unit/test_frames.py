"""The frames that we put together say what pamqp, which aiormq reads and writes with, makes of the same message."""

from typing import Any

import pytest
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from common.broker.frames import message_frames
from common.broker.wire import properties
from common.messages import Message

CHANNEL, MOST = 3, 100
BARE = Message(b"{}", message_id="a-job")
FULL = Message(
    '{"msg":"你好"}'.encode(),
    message_id="任务",
    correlation_id="c" * 255,
    reply_to="a.queue",
    timestamp=1_790_000_000.9,
    headers={
        "x-text": "文" * 300,
        "x-empty": "",
        "x-yes": True,
        "x-no": False,
        "x-none": None,
        "x-int": -(2**63),
        "x-large": 2**63 - 1,
        "x-small": 7,
        "x-float": 1.5,
        "名": "值",
    },
)


def unmarshalled(frames: bytes) -> list[Any]:
    """What pamqp reads from them; each must be on our channel."""
    found = []
    while frames:
        size, channel, read = frame.unmarshal(frames)
        assert channel == CHANNEL
        found.append(read)
        frames = frames[size:]
    return found


def marshalled(message: Message, expiration_ms: int | None = None) -> bytes:
    return message_frames(message, message.message_id or "", expiration_ms, CHANNEL, MOST)


@pytest.mark.parametrize("message", [BARE, FULL], ids=["bare", "full"])
@pytest.mark.parametrize("expiration_ms", [None, 0, 86_400_000])
def test_the_properties_are_those_that_pamqp_would_send(message: Message, expiration_ms: int | None) -> None:
    header, _ = unmarshalled(marshalled(message, expiration_ms))
    theirs = ContentHeader(body_size=len(message.body), properties=properties(message, expiration_ms))
    assert isinstance(header, ContentHeader)
    assert header.body_size == len(message.body)
    (expected,) = unmarshalled(frame.marshal(theirs, CHANNEL))
    assert dict(header.properties) == dict(expected.properties)


@pytest.mark.parametrize("size", [0, 1, MOST - 1, MOST, MOST + 1, 5 * MOST])
def test_a_body_is_in_as_many_frames_as_it_needs(size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    header, *parts = unmarshalled(marshalled(Message(body, message_id="a-job")))
    assert header.body_size == size
    assert all(isinstance(part, ContentBody) and len(part.value) <= MOST for part in parts)
    assert b"".join(part.value for part in parts) == body
    assert len(parts) == -(-size // MOST)
