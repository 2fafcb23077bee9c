"""Measures how late the event loop is: everything that a process does waits for that long before its turn comes."""

import asyncio
from typing import Never

from common import metrics

INTERVAL_S = 0.1


async def sample() -> Never:
    """Sleep again and again, and note how much longer each time it was than asked for."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        metrics.LOOP_LAG.observe(max(0.0, loop.time() - due))
