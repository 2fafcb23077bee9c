"""Takes back jobs whose publish was not confirmed: at once, or as soon as the cache is there again."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Never

import structlog

from common.cache import Cache, KeyHold
from common.errors import CacheUnavailable

log = structlog.get_logger()

#: Seconds between two tries while something is left: often, since the broker may be back at the same moment.
PAUSE_S = 0.1
#: So many are remembered, the latest ones.
MOST_LEFT = 10_000


@dataclass(frozen=True)
class _Left:
    """A job that is still to be withdrawn, and until when (monotonic seconds) that is of any use."""

    job_id: str
    until: float
    hold: KeyHold | None


class Withdrawals:
    """What this gateway has told its clients that it does not exist."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._left: deque[_Left] = deque(maxlen=MOST_LEFT)

    async def withdraw(self, job_id: str, ttl_s: float, hold: KeyHold | None = None) -> bool:
        """Say whether the job is to be forgotten, for `ttl_s` seconds; false if a worker has it already.

        Without a cache it is withdrawn later, if no worker has taken it up by then.
        """
        try:
            return await self._cache.withdraw(job_id, ttl_s, hold)
        except CacheUnavailable:
            log.warning("job_not_withdrawn")
            self._left.append(_Left(job_id, time.monotonic() + ttl_s, hold))
            return True

    async def catch_up(self) -> Never:
        """Withdraw what is left, for ever."""
        while True:
            await asyncio.sleep(PAUSE_S)
            with suppress(CacheUnavailable):
                while self._left:
                    await self._withdraw_first()

    async def _withdraw_first(self) -> None:
        first = self._left[0]
        left_s = first.until - time.monotonic()
        if left_s > 0 and not await self._cache.withdraw(first.job_id, left_s, first.hold):
            # The broker had it, and a worker was faster.
            log.warning("refused_job_runs", job_id=first.job_id)
        # Others may have been added meanwhile, and the first ones dropped.
        if self._left and self._left[0] is first:
            self._left.popleft()
