"""The worker's sign of life: while it is fresh, the jobs in its hands are its own."""

import asyncio
import uuid

import structlog

from common.cache import WORKER_TTL_S, Cache
from common.errors import CacheUnavailable

log = structlog.get_logger()


def new_worker() -> str:
    """A name that no other worker has, nor this one after a restart."""
    return uuid.uuid4().hex


async def show_life(cache: Cache, worker: str) -> None:
    """Renew the sign of life for ever, three times within its lifetime."""
    while True:
        try:
            await cache.show_life(worker)
        except CacheUnavailable:
            log.warning("sign_of_life_not_renewed")
        await asyncio.sleep(WORKER_TTL_S / 3)
