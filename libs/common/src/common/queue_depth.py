"""Keeps the gauge of the queues' depths current."""

import asyncio
from typing import Never

from common import metrics
from common.broker import Broker
from common.errors import BrokerUnavailable

INTERVAL_S = 5


async def sample(broker: Broker) -> Never:
    """Ask the broker every few seconds; a gauge keeps its last value while the broker is away."""
    while True:
        for queue in broker.queues:
            try:
                metrics.QUEUE_DEPTH.labels(queue.name).set(await broker.depth(queue.name))
            except BrokerUnavailable:
                break
        await asyncio.sleep(INTERVAL_S)
