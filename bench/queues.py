"""Keeps a job queue from growing from run to run."""

import asyncio

import aio_pika
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import AbstractChannel


async def purge(url: str, queue: str) -> None:
    """Empty the queue, once nothing comes in any more: a publisher without confirms may be far ahead."""
    async with await aio_pika.connect(url) as connection:
        channel = await (await connection.channel()).get_underlay_channel()
        try:
            last, now = -1, await _length(channel, queue)
        except ChannelNotFoundEntity:  # some declare it with their first message, which may be under way
            return
        while now != last:
            await asyncio.sleep(0.2)
            last, now = now, await _length(channel, queue)
        await channel.queue_purge(queue)


async def _length(channel: AbstractChannel, queue: str) -> int:
    return (await channel.queue_declare(queue, passive=True)).message_count or 0
