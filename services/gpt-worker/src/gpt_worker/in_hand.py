"""What this worker has in its hands, and the sign of life that makes it the worker's own."""

import asyncio
import time
import uuid
from collections import deque
from itertools import count

import structlog

from common.cache import WORKER_TTL_S, Cache, Lease
from common.errors import CacheUnavailable
from common.jobs import Record

log = structlog.get_logger()

#: Seconds for which a finished job is remembered: what a cache that crashes may forget of what it was told.
REMEMBERED_S = 30
MOST_REMEMBERED = 1000
#: Seconds after which a sign of life that could not be given is tried again.
AGAIN_S = 0.5


class InHand:
    """The leases that this worker has asked for and not yet let go, and what became of them lately."""

    def __init__(self) -> None:
        #: A name that no other worker has, nor this one after a restart.
        self.worker = uuid.uuid4().hex
        # Beside the worker's name, a number is as good a token as any.
        self._numbers = count(1)
        self._leases: dict[str, tuple[Lease, Record | None]] = {}
        self._finished: deque[tuple[float, Record]] = deque(maxlen=MOST_REMEMBERED)

    def __contains__(self, token: str) -> bool:
        return token in self._leases

    def new_lease(self) -> Lease:
        """A lease to ask for. It counts as in hand from now on, since an answer may be lost."""
        lease = Lease(self.worker, f"{next(self._numbers):x}")
        self._leases[lease.token] = (lease, None)
        return lease

    def started(self, lease: Lease, record: Record) -> None:
        """Note that an attempt runs."""
        self._leases[lease.token] = (lease, record)

    def finished(self, record: Record) -> None:
        """Note a terminal record."""
        now = time.monotonic()
        while self._finished and self._finished[0][0] < now - REMEMBERED_S:
            self._finished.popleft()
        self._finished.append((now, record))

    def let_go(self, lease: Lease) -> None:
        """Note that the delivery is settled."""
        self._leases.pop(lease.token, None)

    async def show_life(self, cache: Cache) -> None:
        """Renew the sign of life for ever, three times within its lifetime, and help a cache that has forgotten."""
        is_told = True
        while True:
            try:
                is_told = await cache.show_life(self.worker) and is_told
                if not is_told:
                    await self._tell_again(cache)
                    is_told = True
            except CacheUnavailable:
                log.warning("sign_of_life_not_renewed")
                # Soon again: from the moment when the cache is back until then, others find the leases void.
                await asyncio.sleep(AGAIN_S)
            else:
                await asyncio.sleep(WORKER_TTL_S / 3)

    async def _tell_again(self, cache: Cache) -> None:
        """Write what a cache that was started anew, or emptied, may not know any more."""
        running = [(lease, record) for lease, record in self._leases.values() if record is not None]
        since = time.monotonic() - REMEMBERED_S
        finished = [record for at, record in self._finished if at >= since]
        log.warning("cache_told_again", running=len(running), finished=len(finished))
        now = time.time()
        for record in finished:
            await cache.advance(record, record.expires_at - now)
        for lease, record in running:
            await cache.hold(record, lease, record.expires_at - now)
