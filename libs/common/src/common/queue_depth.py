"""Keeps the gauges of the queues current: how deep they are, and how many consume them."""

import asyncio
from typing import Never

from common import metrics
from common.broker import Broker
from common.errors import BrokerUnavailable, Unroutable

INTERVAL_S = 5


async def sample(broker: Broker) -> Never:
    """Ask the broker every few seconds; the gauges keep their last value while the broker is away."""
    while True:
        for queue in broker.queues:
            try:
                await ask(broker, queue.name)
            except Unroutable:
                continue
            except BrokerUnavailable:
                break
        await asyncio.sleep(INTERVAL_S)


async def ask(broker: Broker, queue: str) -> int:
    """How many messages are ready in a queue, as the gauge shows from now on; raises BrokerUnavailable."""
    state = await broker.look_at(queue)
    metrics.QUEUE_DEPTH.labels(queue).set(state.ready)
    metrics.QUEUE_CONSUMERS.labels(queue).set(state.consumers)
    return state.ready
