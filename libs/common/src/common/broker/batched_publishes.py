"""All publishes of one turn of the event loop in one write.

The broker confirms each of them by its number on the channel, often many at once.
docs/adr/0016-publishes-of-a-tick-in-one-write.md says what that gains, and what it has to know of aiormq.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aiormq.abc import AbstractChannel, ChannelFrame
from pamqp import frame
from pamqp.commands import Basic

from common.broker.connecting import is_ready
from common.broker.frames import message_frames
from common.broker.wire import Route, id_of, ours
from common.errors import BrokerUnavailable
from common.messages import Message
from common.timeouts import Limits, answered_within

#: Messages, and bytes of them, in one write; the others stand in line until it has left this process.
MOST_MESSAGES = 500
MOST_BYTES = 1_000_000

_METHODS_REMEMBERED = 64


class _Unconfirmed:
    """A message on its way. aiormq takes it for the future that its own publish would have made.

    It has ended when the broker has answered or the channel is closed, also if its caller's time was over before.
    """

    __slots__ = ("_end", "_has_ended", "answer", "frames", "message_id")

    def __init__(
        self, frames: bytes, message_id: str, answer: asyncio.Future[None], end: Callable[["_Unconfirmed"], None]
    ) -> None:
        self.frames = frames
        self.message_id = message_id
        self.answer = answer
        self._end = end
        self._has_ended: asyncio.Event | None = None

    def done(self) -> bool:
        return False  # or aiormq would not tell what it has heard; who has ended is asked no more

    def set_result(self, _: object) -> None:
        if not self.answer.done():
            self.answer.set_result(None)
        self.end()

    def set_exception(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(ours(error))
        self.end()

    def end(self) -> None:
        self._end(self)
        if self._has_ended is not None:
            self._has_ended.set()

    async def has_ended(self) -> None:
        self._has_ended = self._has_ended or asyncio.Event()
        await self._has_ended.wait()


class BatchedPublishes:
    """Publishes over one channel, on which nobody else publishes, until that is closed."""

    def __init__(self, channel: AbstractChannel) -> None:
        # Typed as an abstract one, it would hide what this has to know.
        self._channel: Any = channel
        self._loop = asyncio.get_running_loop()
        self._limits = Limits(self._loop, lambda: ours(TimeoutError()))
        self._in_line: deque[_Unconfirmed] = deque()
        # By their ids, by which aiormq knows whose message the broker returns: one of each at a time.
        self._unconfirmed: dict[str, _Unconfirmed] = {}
        self._writing_is_due = False
        self._leaving: asyncio.Future[None] | None = None
        self._method = lru_cache(_METHODS_REMEMBERED)(self._marshal_method)
        channel.closing.add_done_callback(self._fail)

    async def publish(
        self, message: Message, route: Route, timeout_s: float, expiration_ms: int | None = None
    ) -> None:
        """Raises BrokerUnavailable unless the broker has confirmed the message within `timeout_s` seconds.

        What was not written until then never is.
        """
        message_id = id_of(message)
        if message_id in self._unconfirmed:
            timeout_s = await self._after_the_earlier(message_id, timeout_s)
        if self._channel.is_closed:
            raise BrokerUnavailable
        frames = self._marshal(message, route, message_id, expiration_ms)
        answer = self._loop.create_future()
        self._limits.add(answer, timeout_s)
        entry = self._unconfirmed[message_id] = _Unconfirmed(frames, message_id, answer, self._forget)
        self._in_line.append(entry)
        if not self._writing_is_due and self._leaving is None:
            self._writing_is_due = True
            self._loop.call_soon(self._write)
        await answer

    async def _after_the_earlier(self, message_id: str, timeout_s: float) -> float:
        """Wait until no message of this id is unconfirmed; returns the seconds that are left."""
        due = self._loop.time() + timeout_s
        try:
            async with answered_within(timeout_s):
                while (earlier := self._unconfirmed.get(message_id)) is not None:
                    await earlier.has_ended()
        except TimeoutError as error:
            raise BrokerUnavailable from error
        return max(0.0, due - self._loop.time())

    def _write(self) -> None:
        """Write what stands in line, as far as it may be; if the broker reads no more, fail it."""
        self._writing_is_due = False
        if not is_ready(self._channel.connection):
            self._fail()
            return
        batch: list[_Unconfirmed] = []
        size = 0
        while self._in_line and len(batch) < MOST_MESSAGES and size < MOST_BYTES:
            message = self._in_line.popleft()
            if message.answer.done():  # nobody waits any more
                message.end()
                continue
            batch.append(message)
            size += len(message.frames)
        if batch:
            self._send(batch)

    def _send(self, batch: list[_Unconfirmed]) -> None:
        channel, payload = self._channel, b"".join(message.frames for message in batch)
        leaving = self._loop.create_future()
        try:
            channel.write_queue.put_nowait(ChannelFrame(payload, should_close=False, drain_future=leaving))
        except asyncio.QueueFull as error:  # the connection has been stuck for many heartbeats
            for message in batch:
                message.set_exception(error)
            return
        # In the same step, so that nothing can come between the order of the messages and their numbers.
        for message in batch:
            channel.delivery_tag += 1
            channel.confirmations[channel.delivery_tag] = message
            channel.message_id_delivery_tag[message.message_id] = channel.delivery_tag
        self._leaving = leaving
        leaving.add_done_callback(self._has_left)

    def _has_left(self, _: asyncio.Future[None]) -> None:
        self._leaving = None
        if self._in_line:
            self._write()

    def _forget(self, message: _Unconfirmed) -> None:
        self._channel.message_id_delivery_tag.pop(message.message_id, None)
        self._unconfirmed.pop(message.message_id, None)

    def _fail(self, closing: asyncio.Future[Any] | None = None) -> None:
        """Fail what has not been written; and all the rest too if the channel is closed."""
        is_told = closing is not None and not closing.cancelled()
        error = (closing.exception() if closing is not None and is_told else None) or BrokerUnavailable()
        for message in list(self._in_line if closing is None else self._unconfirmed.values()):
            message.set_exception(error)
        self._in_line.clear()

    def _marshal(self, message: Message, route: Route, message_id: str, expiration_ms: int | None) -> bytes:
        """The frames of a message: what to do with it, what is said of it, and as many as its body needs."""
        number, most = self._channel.number, self._channel.max_content_size
        return self._method(route) + message_frames(message, message_id, expiration_ms, number, most)

    def _marshal_method(self, route: Route) -> bytes:
        method = Basic.Publish(exchange=route.exchange, routing_key=route.routing_key, mandatory=route.mandatory)
        return frame.marshal(method, self._channel.number)
