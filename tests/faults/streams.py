"""A client that follows a job's stream through every fault, from one reader to another, and tells the ledger."""

import asyncio
import random
from collections.abc import Sequence

import aiohttp
from aiohttp import ClientSession

from tests.deployment import Service
from tests.faults.ledger import Job, Ledger
from tests.followers import TERMINAL, Follower, server_sent

#: Seconds without a word, of which there is one every ten, after which a stream has been forgotten.
SILENCE_S = 30.0
#: Seconds between the end of one connection and the next.
PAUSE_S = 0.3
#: What a reader may say while servers are away, or of an id of which it has not heard yet.
FOR_NOW = {404, 503}


async def follow(
    http: ClientSession, readers: Sequence[Service], ledger: Ledger, job: Job, chance: random.Random
) -> None:
    """Read the job's events to its end, over any number of connections; some of them are cut by the client."""
    follower = Follower(http, job.id or "")
    while not follower.end:
        reader, most = chance.choice(readers), chance.choice((3, 10_000))
        try:
            await _read(follower, reader, most)
        except AssertionError as wrong:
            ledger.streamed_wrongly(job, str(wrong))
            return
        except (aiohttp.ClientError, TimeoutError, OSError):
            job.note("stream broke off")
        await asyncio.sleep(PAUSE_S)
    ledger.streamed(job, follower.text, follower.end)


async def _read(follower: Follower, reader: Service, most: int) -> None:
    url = reader.url.with_path(f"/v1/results/{follower.job_id}/stream")
    headers = {"Last-Event-ID": str(follower.last_id)} if follower.told else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_S)
    async with follower.http.get(url, headers=headers, timeout=timeout) as response:
        if response.status in FOR_NOW:
            return
        assert response.status == 200, f"a stream answered {response.status}"
        async for event in server_sent(response):
            follower.take(event)
            most -= 1
            if not most or event.name in TERMINAL:
                return
