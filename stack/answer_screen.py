"""What `make ask` shows: a line that counts the seconds, then the text as it comes.

The line is there only where standard error is a terminal. Where standard output is none, as in a pipe, the answer is
printed once it is whole, so that nothing of a broken attempt gets in.
"""

import asyncio
import contextlib
import sys
import time
from types import TracebackType
from typing import Self

from gpt_jobs import QueuePlace

TICK_S = 0.2
CLEAR_LINE = "\r\033[K"


class AnswerScreen:
    """One question and its answer."""

    def __init__(self) -> None:
        self.status = "submitting"
        self._counts = sys.stderr.isatty()
        self._types = sys.stdout.isatty()
        self._typed = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick())
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._ticking.cancel()
        self._clear()
        if self._typed and not self._typed.endswith("\n"):
            _print("\n")

    def waits(self, place: QueuePlace | None) -> None:
        """It stands in line."""
        self.status = "waiting"
        if place is not None:
            self.status += f", number {place.position} in line"
            if place.estimated_start_s is not None:
                self.status += f", begins in about {place.estimated_start_s:.0f} s"

    def begins(self, attempt: int) -> None:
        """An attempt begins; what an earlier one has written stands on the terminal, and does not count."""
        self.status = "thinking" if attempt == 1 else f"thinking (attempt {attempt})"
        if self._typed:
            self.say(f"\n[That attempt broke off. Attempt {attempt} begins anew.]")
            self._typed = ""

    def add(self, text: str) -> None:
        """A further piece of the answer."""
        if self._types:
            self._clear()
            self._typed += text
            _print(_harmless(text))

    def complete(self, text: str) -> None:
        """The whole answer: what of it is not there yet is printed now."""
        self._clear()
        if not self._types:
            _print(f"{text}\n")
        elif self._typed != text:
            _print(_harmless(f"\n{text}" if self._typed else text))
        self._typed = text if self._types else ""

    def say(self, text: str) -> None:
        """Something that is no part of the answer."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._counts and not self._typed:
            print(CLEAR_LINE, end="", file=sys.stderr, flush=True)

    async def _tick(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while self._counts:
                if not self._typed:
                    seconds = time.monotonic() - self._began
                    print(f"{CLEAR_LINE}{self.status} … {seconds:.0f} s", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(TICK_S)


def _print(text: str) -> None:
    print(text, end="", flush=True)


def _harmless(text: str) -> str:
    """Without what would move the cursor or colour the terminal."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")
