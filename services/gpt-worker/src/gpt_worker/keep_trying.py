"""Patience with the servers: an operation that must not be given up is tried until it succeeds."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from common.errors import BrokerUnavailable, CacheUnavailable, ServiceError, StoreUnavailable

log = structlog.get_logger()

AWAY = (BrokerUnavailable, CacheUnavailable, StoreUnavailable)
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2

Value = TypeVar("Value")


async def keep_trying(operation: Callable[[], Awaitable[Value]]) -> Value:
    """The operation's value, however long its server is away; ends early only by being cancelled."""
    try:
        # Nearly always that is all, and to set up tenacity costs more than many an operation.
        return await operation()
    except AWAY as error:
        failed: list[ServiceError] = [error]
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(AWAY),
        wait=wait_exponential_jitter(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S, jitter=FIRST_PAUSE_S),
        before_sleep=_tell,
    )

    async def counted_from_the_first() -> Value:
        if failed:
            raise failed.pop()
        return await operation()

    return await retrying(counted_from_the_first)


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    # The name alone: a driver's text may hold a password.
    cause = type(error.__cause__).__name__ if error else None
    log.warning("waiting_for_server", code=getattr(error, "code", None), cause=cause, tries=state.attempt_number)
