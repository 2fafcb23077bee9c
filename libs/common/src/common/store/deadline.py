"""The time that an exchange with the server may take, and what it tells the breaker."""

import time
from types import TracebackType

from pymongo.errors import PyMongoError

from common.breaker import Away, Breaker
from common.errors import StoreUnavailable
from common.timeouts import answered_within

_FAILURES = (PyMongoError, OSError, TimeoutError)


class Deadline:
    """Around an exchange; raises StoreUnavailable if it fails, takes too long, or is not made at all."""

    __slots__ = ("_always", "_began_at", "_breaker", "_is_try", "_time")

    def __init__(self, breaker: Breaker, timeout_s: float, *, always: bool) -> None:
        self._breaker = breaker
        self._always = always
        self._time = answered_within(timeout_s)

    async def __aenter__(self) -> None:
        try:
            self._is_try = self._breaker.admit(always=self._always)
        except Away as error:
            raise StoreUnavailable from error
        self._began_at = time.monotonic()
        await self._time.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        try:
            await self._time.__aexit__(kind, error, frames)
        except TimeoutError as late:
            error = late
        self._breaker.note(error, self._began_at)
        if self._is_try:
            self._breaker.end_try()
        if isinstance(error, _FAILURES):
            raise StoreUnavailable from error
