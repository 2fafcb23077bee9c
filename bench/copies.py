"""A great many of what our services leave on the servers: the one they left, with another job's id in it.

All ids are of the same length, so a copy is the same bytes with one id in place of the other. That takes minutes less
than a million submissions, and needs to know nothing of the formats.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import aiormq
import bson
import pymongo
from aiormq.abc import ChannelFrame
from bson.raw_bson import RawBSONDocument
from pamqp import body, commands, frame, header
from redis.asyncio import Redis

#: So many copies leave in one write.
AT_ONCE = 1000


@dataclass(frozen=True)
class Original:
    """What is copied: the bytes, and the id in them."""

    job_id: str
    data: bytes

    def copies(self, ids: Sequence[str]) -> Iterator[list[bytes]]:
        """For each of the ids, some at a time."""
        mine, left = self.job_id.encode(), iter(ids)
        while some := list(islice(left, AT_ONCE)):
            yield [self.data.replace(mine, other.encode()) for other in some]


async def into_redis(url: str, job_id: str, commands_of_job: Sequence[Sequence[Any]], ids: Sequence[str]) -> None:
    """The commands that make what Redis knows of that job, for each of the ids."""
    async with Redis.from_url(url, single_connection_client=True) as redis:
        connection = redis.connection
        assert connection is not None
        one = b"".join(part for command in commands_of_job for part in connection.pack_command(*command))
        # A million answers would take longer to read than the commands to do.
        await connection.send_packed_command(connection.pack_command("CLIENT", "REPLY", "OFF"))
        for some in Original(job_id, one).copies(ids):
            await connection.send_packed_command([b"".join(some)])
        await connection.send_packed_command(connection.pack_command("CLIENT", "REPLY", "ON"))
        await connection.read_response()


async def into_queue(
    url: str, queue: str, job_id: str, message: aiormq.abc.DeliveredMessage, ids: Sequence[str]
) -> None:
    """The message for each of the ids, as many frames in one write as one would write by itself."""
    connection = await aiormq.connect(url)
    channel: Any = await connection.channel(publisher_confirms=False)
    parts = (
        commands.Basic.Publish(exchange="", routing_key=queue),
        header.ContentHeader(body_size=len(message.body), properties=message.header.properties),
        body.ContentBody(message.body),
    )
    one = b"".join(frame.marshal(part, channel.number) for part in parts)
    for some in Original(job_id, one).copies(ids):
        await channel.write_queue.put(ChannelFrame(b"".join(some), should_close=False))
    # Answered only after all that was written before.
    await channel.queue_declare(queue, passive=True)
    await connection.close()


def into_mongodb(url: str, collection: str, document: Mapping[str, Any], ids: Sequence[str]) -> None:
    """The document for each of the ids; the client is told once the server has it in memory."""
    with pymongo.MongoClient[Any](url, w=1) as client:
        documents = client.get_default_database()[collection]
        for some in Original(document["_id"], bson.encode(document)).copies(ids):
            documents.insert_many([RawBSONDocument(one) for one in some], ordered=False)
