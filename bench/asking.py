"""A client that asks for a job's end: by waiting at the reader, or by asking again every few seconds."""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import orjson

TERMINAL = {"completed", "failed", "cancelled"}


@dataclass(frozen=True)
class Answered:
    """What a client got, when (time.monotonic()), and how often it had to ask."""

    text: str | None
    at: float
    requests: int


async def wait(http: aiohttp.ClientSession, url: str, wait_s: float) -> Answered:
    """Ask with `wait`, again as soon as that is over."""
    return await _ask(http, f"{url}?wait={wait_s:g}", 0)


async def poll(http: aiohttp.ClientSession, url: str, every_s: float) -> Answered:
    """Ask at once for what is known, and again after a pause: what the article's mini-program does."""
    return await _ask(http, url, every_s)


async def _ask(http: aiohttp.ClientSession, url: str, pause_s: float) -> Answered:
    requests = 0
    while True:
        # The first look comes after a pause: nobody expects the answer at once.
        await asyncio.sleep(pause_s)
        requests += 1
        async with http.get(url) as response:
            body = await response.read()
        at = time.monotonic()
        record = orjson.loads(body)
        if record["status"] in TERMINAL:
            return Answered(record["output_text"], at, requests)
