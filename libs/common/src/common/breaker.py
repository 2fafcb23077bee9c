"""Keeps calls from waiting, one after the other, for a server that is evidently away."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

#: Calls in vain after which a server counts as away.
FAILURES = 3
#: Seconds between the end of one try to reach an absent server and the next.
PAUSE_S = 1.5


class Away(Exception):
    """The call was not made: the server counts as away."""


class Breaker:
    """Watches the calls to one server.

    A call is in vain if it was lost and no other one was answered since it began: so a server that is slow, and
    loses many calls under load, is not away as long as it answers any. While it counts as away, calls fail at
    once, but for one at a time, after each pause, that tries. Any answer ends it.
    """

    def __init__(self, server: str, lost: tuple[type[Exception], ...]) -> None:
        """`lost` are the errors of calls that got no answer; with any other one the server has answered."""
        self._server = server
        self._lost = lost
        self._in_vain = 0
        self._answered_at = time.monotonic()
        self._next_try_at = 0.0
        self._trying = False

    @contextmanager
    def watching(self, *, always: bool = False) -> Iterator[None]:
        """Make a call in the block; raises Away instead, unless it is to be made `always`."""
        is_try = self.is_away and not always
        if is_try:
            if self._trying or time.monotonic() < self._next_try_at:
                raise Away
            self._trying = True
        began_at = time.monotonic()
        try:
            yield
        except self._lost:
            self._count(began_at)
            raise
        except Exception:
            self._answer()
            raise
        else:
            self._answer()
        finally:
            if is_try:
                self._trying = False

    @property
    def is_away(self) -> bool:
        """Whether the server counts as away."""
        return self._in_vain >= FAILURES

    def _count(self, began_at: float) -> None:
        if began_at < self._answered_at:
            return
        self._in_vain += 1
        self._next_try_at = time.monotonic() + PAUSE_S
        if self._in_vain == FAILURES:
            log.warning("server_away", server=self._server)

    def _answer(self) -> None:
        if self.is_away:
            log.info("server_back", server=self._server)
        self._in_vain = 0
        self._answered_at = time.monotonic()
