"""Keeps the event loop prompt when the broker hands out thousands of messages at once."""

import asyncio
from collections import deque


class Turnstile:
    """Lets a few through in each turn of the event loop, in the order in which they came.

    It bounds how long a turn can get, and nobody has to come out again for another to go in.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._line: deque[asyncio.Future[None]] = deque()
        self._turns = False

    async def pass_through(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._line.append(turn)
        if not self._turns:
            self._turns = True
            loop.call_soon(self._turn)
        await turn

    def _turn(self) -> None:
        passed = 0
        while self._line and passed < self._at_once:
            turn = self._line.popleft()
            if not turn.done():  # who was cancelled has left
                turn.set_result(None)
                passed += 1
        self._turns = bool(self._line)
        if self._turns:
            asyncio.get_running_loop().call_soon(self._turn)
