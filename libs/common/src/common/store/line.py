"""Who asks for something in the same turn of the event loop, or while a batch is under way, goes in one batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from common.timeouts import answered_within

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Asked(Generic[Item, Answer]):
    __slots__ = ("answer", "item", "only_one_of", "size")

    def __init__(self, item: Item, size: int, only_one_of: str | None, answer: asyncio.Future[Answer]) -> None:
        self.item = item
        self.size = size
        self.only_one_of = only_one_of
        self.answer = answer


class Line(Generic[Item, Answer]):
    """One batch at a time is under way, and what is asked meanwhile stands in line for the next.

    Callers have deadlines of their own. One that has gone leaves the line; what is under way goes on without it.
    """

    def __init__(
        self,
        carry_out: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        timeout_s: float,
        most: int,
        most_bytes: int,
    ) -> None:
        """`carry_out` answers each item of a batch, or raises what becomes of all of them."""
        self._carry_out = carry_out
        self._timeout_s = timeout_s
        self._most = most
        self._most_bytes = most_bytes
        self._in_line: deque[_Asked[Item, Answer]] = deque()
        self._under_way: list[_Asked[Item, Answer]] = []
        self._working: asyncio.Task[None] | None = None

    def ask(self, item: Item, *, size: int = 0, only_one_of: str | None = None) -> asyncio.Future[Answer]:
        """The answer. Of those with the same `only_one_of` each is in a later batch than the one before."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._in_line.append(_Asked(item, size, only_one_of, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return answer

    async def aclose(self) -> None:
        """Everybody who waits is told."""
        if self._working is not None:
            self._working.cancel()
            with suppress(asyncio.CancelledError):
                await self._working
        for asked in (*self._under_way, *self._in_line):
            _tell(asked, ConnectionError("closed"))
        self._in_line.clear()

    async def _work(self) -> None:
        while batch := self._next_batch():
            self._under_way = batch
            try:
                # A driver that is stuck must not hold up those who come later.
                async with answered_within(self._timeout_s):
                    answers = await self._carry_out([asked.item for asked in batch])
            except Exception as error:  # noqa: BLE001 (whatever it is, it is each caller's)
                answers = [error] * len(batch)
            for asked, answer in zip(batch, answers, strict=True):
                _tell(asked, answer)
        self._under_way = []
        self._working = None

    def _next_batch(self) -> list[_Asked[Item, Answer]]:
        batch: list[_Asked[Item, Answer]] = []
        left: list[_Asked[Item, Answer]] = []
        there: set[str] = set()
        size = 0
        while self._in_line and len(batch) < self._most:
            asked = self._in_line.popleft()
            if asked.answer.done():  # nobody waits any more
                continue
            if asked.only_one_of in there:
                left.append(asked)
                continue
            if batch and size + asked.size > self._most_bytes:
                left.append(asked)
                break
            batch.append(asked)
            size += asked.size
            if asked.only_one_of is not None:
                there.add(asked.only_one_of)
        self._in_line.extendleft(reversed(left))
        return batch


def _tell(asked: _Asked[Item, Answer], answer: Answer | Exception) -> None:
    if asked.answer.done():
        return
    if isinstance(answer, Exception):
        asked.answer.set_exception(answer)
    else:
        asked.answer.set_result(answer)
