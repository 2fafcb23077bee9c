"""Publishes jobs anew whose message is gone from the broker, as when its queue was deleted or purged."""

import asyncio
import time
from contextlib import suppress
from typing import Never

import structlog

from common import messages, metrics, queue_depth
from common.broker import Broker
from common.cache import Cache
from common.errors import BrokerUnavailable, CacheUnavailable, Unroutable

log = structlog.get_logger()

#: Seconds between two looks, or the grace time if that is shorter.
INTERVAL_S = 3
#: How many messages are fetched from the cache at a time.
MOST_AT_ONCE = 100


async def keep_recovering(broker: Broker, cache: Cache, grace_s: float) -> Never:
    """Look every few seconds for messages that should have come to a worker `grace_s` seconds ago."""
    while True:
        await asyncio.sleep(min(INTERVAL_S, grace_s))
        with suppress(BrokerUnavailable, CacheUnavailable):
            await recover(broker, cache, grace_s)


async def recover(broker: Broker, cache: Cache, grace_s: float) -> None:
    """Publish what is missing now; what could not be published is missing again after the grace time."""
    queue_is_empty = await _depth(broker) == 0
    # Once the grace time is over, what was published first would seem to be missing again.
    until = time.monotonic() + grace_s / 2
    while time.monotonic() < until:
        copies = await cache.missing_messages(grace_s, MOST_AT_ONCE, queue_is_empty=queue_is_empty)
        for copy in copies:
            await _publish(broker, copy)
        if len(copies) < MOST_AT_ONCE:
            return


async def _depth(broker: Broker) -> int:
    """The job queue's depth; a queue that is gone is made anew."""
    try:
        return await queue_depth.ask(broker, broker.topology.queue)
    except Unroutable:
        await broker.declare()
        return await queue_depth.ask(broker, broker.topology.queue)


async def _publish(broker: Broker, copy: bytes) -> None:
    try:
        message = messages.unpack(copy)
    except ValueError:
        log.exception("copy_unreadable")
        return
    await broker.publish_job(message)
    metrics.RECOVERED.inc()
    log.warning("message_recovered", job_id=message.message_id)
