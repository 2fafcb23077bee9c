"""Notices within seconds that a consumer gets nothing more, and renews it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Never, Protocol

import structlog

from common import metrics
from common.errors import BrokerUnavailable

log = structlog.get_logger()

#: Seconds for which a consumer may get nothing although jobs wait and it has room for them.
SILENCE_S = 10.0
#: Seconds between two looks at it.
INTERVAL_S = 1.0
#: Renewals without an effect after which only a new process can help.
MOST_IN_VAIN = 3


class Watched(Protocol):
    """What has to be known of a consumer."""

    @property
    def is_lost(self) -> bool:
        """Whether no deliveries can come."""

    @property
    def is_full(self) -> bool:
        """Whether no deliveries need to come, since as many are in hand as may be."""

    @property
    def received(self) -> int:
        """How many deliveries have come since the last subscription."""


class Watch:
    """Watches one consumer. `ready` says how many jobs wait in its queue, `renew` subscribes it again."""

    def __init__(
        self,
        consumer: Watched,
        ready: Callable[[], Awaitable[int]],
        renew: Callable[[], Awaitable[None]],
        silence_s: float,
    ) -> None:
        self._consumer = consumer
        self._ready = ready
        self._renew = renew
        self._silence_s = silence_s
        self._received = 0
        self._silent_since: float | None = None
        self._in_vain = 0
        self._has_failed = False

    @property
    def has_given_up(self) -> bool:
        """Whether renewing was in vain again and again, although the broker answered and jobs waited."""
        return self._in_vain >= MOST_IN_VAIN

    async def run(self) -> Never:
        """Look at the consumer every second, for ever."""
        while True:
            await asyncio.sleep(min(INTERVAL_S, self._silence_s))
            try:
                await self._look()
            except BrokerUnavailable:
                # Said once, and not each second for as long as the broker is away.
                if not self._has_failed:
                    log.warning("consumer_not_renewed")
                self._has_failed = True

    async def _look(self) -> None:
        is_silent = await self._is_silent()
        if not is_silent and not self._consumer.is_lost:
            return
        await self._renew()
        self._has_failed = False
        metrics.WATCHDOG.labels("consumer").inc()
        log.warning("consumer_renewed", reason="silent" if is_silent else "lost")

    async def _is_silent(self) -> bool:
        """Whether it has got nothing for too long; true once for each such time."""
        now, received = time.monotonic(), self._consumer.received
        if received != self._received or self._consumer.is_full or not await self._jobs_wait():
            self._received, self._silent_since, self._in_vain = received, None, 0
        elif self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since >= self._silence_s:
            self._silent_since = now
            self._in_vain += 1
            return True
        return False

    async def _jobs_wait(self) -> bool:
        try:
            return await self._ready() > 0
        except BrokerUnavailable:
            return False
