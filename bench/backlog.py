"""A place with many jobs in it: as many that wait, in the queue and in Redis, as there are answers in MongoDB."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import pika
import pymongo
from redis.asyncio import Redis

from bench import copies, visitors
from bench.announcements import Announcements
from bench.fleet import Fleet, Model, WrongAnswersError
from bench.rig import CORE_OF_LOAD, Rig, cpu_seconds
from common.ids import JobIds
from stack.places import JOB_ID_KEY, Place, Servers

COLLECTION = "results"
#: Nothing is to be published anew or to expire while there is measured.
SETTINGS = {"RECOVERY_GRACE_S": "3600", "JOB_DEADLINE_S": "86400", "RESULT_STORE_TTL_S": "86400"}
PATIENCE_S = 120


@dataclass(frozen=True)
class Backlog:
    """The jobs, by their ids; those that are `answered` only the store knows."""

    fleet: Fleet
    waiting: Sequence[str]
    answered: Sequence[str]

    @classmethod
    async def of(cls, rig: Rig, http: aiohttp.ClientSession, jobs: int) -> Self:
        """So many of each: one that our services have made, and copies of it."""
        model = Model.on(rig, http)
        fleet = Fleet(rig, http, model, **SETTINGS)
        gateway, place = fleet.gateway(CORE_OF_LOAD), fleet.place
        prompt = visitors.prompts()[0]["msg"]
        worker = fleet.worker(CORE_OF_LOAD)
        async with Announcements.heard(place) as heard:
            (answered,) = await fleet.submit(gateway, [prompt], 1)
            await heard.until(lambda heard: answered in heard.at, PATIENCE_S)
        worker.stop()
        (waiting,) = await fleet.submit(gateway, [prompt], 1)
        gateway.stop()
        ids = JobIds([JOB_ID_KEY])
        backlog = cls(fleet, [waiting, *_minted(ids, jobs - 1)], [answered, *_minted(ids, jobs - 1)])
        await backlog._fill(waiting, answered)
        return backlog

    async def trim(self) -> None:
        """Take away what came since: of the queue, for each that came, the one that waits for longest."""
        environment = self.fleet.place.environment
        prefix = environment["REDIS_PREFIX"]
        async with Redis.from_url(environment["REDIS_URL"]) as redis:
            came: Sequence[bytes] = await redis.zrange(f"{prefix}waiting", len(self.waiting), -1)  # type: ignore[assignment]
            for start in range(0, len(came), copies.AT_ONCE):
                some = came[start : start + copies.AT_ONCE]
                await redis.unlink(*(f"{prefix}job:{job_id.decode()}" for job_id in some))
                await redis.zrem(f"{prefix}waiting", *some)
        queue = self.fleet.place.queue
        with pika.BlockingConnection(pika.URLParameters(environment["AMQP_URL"])) as connection:
            channel = connection.channel()
            length = channel.queue_declare(queue, passive=True).method.message_count
            for _ in range(length - len(self.waiting)):
                channel.basic_get(queue, auto_ack=True)

    async def _fill(self, waiting: str, answered: str) -> None:
        """Raises WrongAnswersError if not all of it has got there."""
        place, environment = self.fleet.place, self.fleet.place.environment
        of_redis = await _commands(place, waiting)
        await copies.into_redis(environment["REDIS_URL"], waiting, of_redis, self.waiting)
        copies.into_queue(environment["AMQP_URL"], place.queue, waiting, self.waiting)
        with pymongo.MongoClient[Any](environment["MONGO_URL"]) as client:
            document = client.get_default_database()[COLLECTION].find_one({"_id": answered})
        if document is None:
            raise WrongAnswersError(f"MongoDB has no {answered}")
        copies.into_mongodb(environment["MONGO_URL"], COLLECTION, document, self.answered[1:])
        async with Redis.from_url(environment["REDIS_URL"]) as redis:
            noted = await redis.zcard(f"{environment['REDIS_PREFIX']}waiting")
        if noted != len(self.waiting):
            raise WrongAnswersError(f"Redis knows of {noted} jobs that wait, of {len(self.waiting)}")


def _minted(ids: JobIds, count: int) -> list[str]:
    return [ids.mint() for _ in range(count)]


async def until_quiet(servers: Sequence[Servers]) -> None:
    """Until nobody writes to disk any more what was filled in, as far as that ends."""
    pids = [process.pid for each in servers for process in (each.rabbitmq, each.redis, each.mongodb)]
    ends_at, used = time.monotonic() + PATIENCE_S, 1.0
    while used > 0.2 and time.monotonic() < ends_at:
        before = sum(map(cpu_seconds, pids))
        await asyncio.sleep(1)
        used = sum(map(cpu_seconds, pids)) - before


async def _commands(place: Place, job_id: str) -> list[list[Any]]:
    """What makes a job that waits, read from the one that is there."""
    prefix = place.environment["REDIS_PREFIX"]
    key = f"{prefix}job:{job_id}"
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        fields = await redis.hgetall(key)
        lives_ms = await redis.pttl(key)
        due = await redis.zscore(f"{prefix}waiting", job_id)
    parts = [part for field in fields.items() for part in field]
    return [
        ["HSET", key, *parts],
        ["PEXPIRE", key, lives_ms],
        ["ZADD", f"{prefix}waiting", f"{due:.0f}", job_id],
    ]
