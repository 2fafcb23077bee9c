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

    def note(self, error: BaseException | None, began_at: float) -> None:
        """Note how a call ended that began then; one that was cancelled says nothing."""
        if isinstance(error, self._lost):
            self.lost(began_at)
        elif error is None or isinstance(error, Exception):
            self.answered()

    @contextmanager
    def watching(self, *, always: bool = False) -> Iterator[None]:
        """Make a call in the block; raises Away instead, unless it is to be made `always`."""
        is_try = self.admit(always=always)
        began_at = time.monotonic()
        try:
            yield
        except BaseException as error:
            self.note(error, began_at)
            raise
        else:
            self.note(None, began_at)
        finally:
            if is_try:
                self.end_try()

    def admit(self, *, always: bool = False) -> bool:
        """Let a call be made, or raise Away. Says whether it is the one that tries; then `end_try` must follow."""
        if always or not self.is_away:
            return False
        if self._trying or time.monotonic() < self._next_try_at:
            raise Away
        self._trying = True
        return True

    def end_try(self) -> None:
        """Let another call try."""
        self._trying = False

    def lost(self, began_at: float) -> None:
        """Note a call that got no answer, by when it began (`time.monotonic`)."""
        if began_at < self._answered_at:
            return
        self._in_vain += 1
        self._next_try_at = time.monotonic() + PAUSE_S
        if self._in_vain == FAILURES:
            log.warning("server_away", server=self._server)

    def answered(self) -> None:
        """Note a call that was answered."""
        if self.is_away:
            log.info("server_back", server=self._server)
        self._in_vain = 0
        self._answered_at = time.monotonic()

    @property
    def is_away(self) -> bool:
        """Whether the server counts as away."""
        return self._in_vain >= FAILURES
