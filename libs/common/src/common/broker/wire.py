"""What goes over the connection, and how it fails: the driver's messages as ours, and its errors too."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple

import structlog
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity, DeliveryError, PublishError
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from common.broker.lenient_decoding import tolerate_unreadable_properties
from common.errors import BrokerUnavailable, PublishRefused, Unroutable
from common.messages import HeaderValue, Message

log = structlog.get_logger()

tolerate_unreadable_properties()

# Bytes of headers that surely fit into one frame with all other properties. A frame may have 128 KiB, and the broker
# closes the connection over a longer one.
_MOST_HEADER_BYTES = 120_000
_PERSISTENT = 2
_RETURNS_HEADER = "x-delivery-count"
_NAMES_REMEMBERED = 256
# The broker's own book-keeping about one stay of a message on it: not to be sent on with the message.
_OF_THE_BROKER = re.compile(r"x-(delivery-count|acquired-count|death|(first|last)-death-.*)")

# What is tried on a channel or connection that is closed already raises RuntimeErrors.
_FAILURES = (AMQPError, RuntimeError, OSError, TimeoutError)


@dataclass(frozen=True)
class QueueState:
    """Messages ready in a queue, and consumers of it."""

    ready: int
    consumers: int


class Route(NamedTuple):
    """Where a message goes; whether it is an error that no queue takes it is `mandatory`."""

    exchange: str
    routing_key: str
    mandatory: bool = True


class Delivery:
    """A message that is ours until we settle it, once."""

    def __init__(
        self, delivered: DeliveredMessage, timeout_s: float, on_settled: Callable[[], None] = lambda: None
    ) -> None:
        self._channel = delivered.channel
        self._tag = delivered.delivery_tag or 0
        self._timeout_s = timeout_s
        self._on_settled = on_settled
        self._is_settled = False
        self.redelivered = bool(delivered.redelivered)
        said = delivered.header.properties
        headers = said.headers or {}
        #: How often a quorum queue got this message back, be it that we gave it or that a connection was lost.
        self.returns = _count(headers.get(_RETURNS_HEADER))
        self.message = Message(
            body=delivered.body,
            message_id=said.message_id or None,
            correlation_id=said.correlation_id or None,
            reply_to=said.reply_to or None,
            timestamp=said.timestamp.timestamp() if said.timestamp else None,
            headers=plain(headers),
        )

    async def acknowledge(self) -> None:
        """Say that the message is dealt with. If the connection is lost the broker will deliver it again."""
        await self._settle(self._channel.basic_ack)

    async def give_back(self) -> None:
        """Let the broker deliver the message to somebody else."""
        await self._settle(self._channel.basic_nack)

    async def _settle(self, settle: Callable[[int], Awaitable[None]]) -> None:
        if self._is_settled:
            return  # the broker would close the channel
        self._is_settled = True  # whatever comes of it
        try:
            # On a connection that is being given up aiormq may wait for ever for room in its line.
            async with in_time(self._timeout_s):
                await settle(self._tag)
        except BrokerUnavailable:
            log.warning("delivery_not_settled", job_id=self.message.message_id)
        finally:
            self._on_settled()


def in_time(timeout_s: float) -> "InTime":
    """Turn every way in which the broker can fail us, silence among them, into BrokerUnavailable."""
    return InTime(timeout_s)


class InTime:
    """Around what the broker is asked. A class, since each delivery is settled in one."""

    __slots__ = ("_time",)

    def __init__(self, timeout_s: float) -> None:
        self._time = asyncio.timeout(timeout_s)

    async def __aenter__(self) -> None:
        await self._time.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if error is None:
            await self._time.__aexit__(None, None, None)
            return
        with translated():
            await self._time.__aexit__(kind, error, frames)
            raise error


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise ours(error) from error
    except Exception as error:
        if type(error) is Exception:  # what aiormq tells those who wait when it has no reason
            raise ours(error) from error
        raise
    except asyncio.CancelledError as error:
        # aiormq cancels those who wait on a connection that it gives up: then nobody has cancelled us.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailable from error


def ours(error: BaseException) -> BrokerUnavailable:
    """What is told of an error of the driver, which is its cause."""
    told = BrokerUnavailable()
    if isinstance(error, PublishError | ChannelNotFoundEntity):
        told = Unroutable()
    elif isinstance(error, DeliveryError):
        told = PublishRefused()
    told.__cause__ = error
    return told


def properties(message: Message, expiration_ms: int | None = None) -> Basic.Properties:
    """The message without its body, as it goes over the wire."""
    return Basic.Properties(
        headers=in_one_frame(message.headers),
        content_type="application/json",
        delivery_mode=_PERSISTENT,
        message_id=id_of(message),
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        timestamp=None if message.timestamp is None else datetime.fromtimestamp(message.timestamp, UTC),
        expiration=None if expiration_ms is None else str(expiration_ms),
    )


def id_of(message: Message) -> str:
    """The message's id; none goes out without one, by which it is returned."""
    return message.message_id or uuid.uuid4().hex


def in_one_frame(headers: Mapping[str, HeaderValue]) -> dict[str, Any]:
    """The headers to send on; the longest are left out if they are too much. Ours are short."""
    kept = {name: value for name, value in headers.items() if not _is_of_the_broker(name)}
    too_much = sum(map(_size, kept.items())) - _MOST_HEADER_BYTES
    while too_much > 0:
        longest = max(kept.items(), key=_size)
        too_much -= _size(longest)
        del kept[longest[0]]
    return kept


@lru_cache(_NAMES_REMEMBERED)
def _is_of_the_broker(name: str) -> bool:
    return _OF_THE_BROKER.fullmatch(name) is not None


def _size(header: tuple[str, HeaderValue]) -> int:
    """At least the bytes that a header takes."""
    name, value = header
    return 1 + _bytes(name) + (5 + _bytes(value) if isinstance(value, str) else 9)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def plain(headers: Mapping[str, Any]) -> dict[str, HeaderValue]:
    """The headers without tables and lists, such as parts of the broker's own book-keeping."""
    return {name: value for name, value in headers.items() if isinstance(value, str | int | float | bool | None)}


def _count(header: Any) -> int:
    return header if isinstance(header, int) and header > 0 else 0
