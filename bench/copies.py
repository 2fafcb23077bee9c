"""A great many of what our services leave on the servers: the one they left, with another job's id in it.

All ids are of the same length, so a copy is the same bytes with one id in place of the other. That takes minutes less
than a million submissions, and needs to know nothing of the formats.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import bson
import pika
import pymongo
from bson.raw_bson import RawBSONDocument
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


def into_queue(url: str, queue: str, job_id: str, ids: Sequence[str]) -> None:
    """The job's message, which is the only one there, for each of the ids."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        _, properties, body = channel.basic_get(queue, auto_ack=True)
        for other in ids:
            properties.message_id = other
            channel.basic_publish("", queue, body.replace(job_id.encode(), other.encode()), properties)
        # Answered only after all that was sent before.
        channel.queue_declare(queue, passive=True)


def into_mongodb(url: str, collection: str, document: Mapping[str, Any], ids: Sequence[str]) -> None:
    """The document for each of the ids; the client is told once the server has it in memory."""
    with pymongo.MongoClient[Any](url, w=1) as client:
        documents = client.get_default_database()[collection]
        for some in Original(document["_id"], bson.encode(document)).copies(ids):
            documents.insert_many([RawBSONDocument(one) for one in some], ordered=False)
