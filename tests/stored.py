"""What lies in MongoDB and Redis, seen with plain drivers."""

from typing import Any

from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from tests.deployment import Place


async def document_of(place: Place, job_id: str) -> dict[str, Any]:
    """The job's document."""
    async with AsyncMongoClient[dict[str, Any]](place.environment["MONGO_URL"]) as client:
        document = await client.get_default_database()["results"].find_one({"_id": job_id})
    assert document is not None
    return document


async def everything_in(place: Place) -> str:
    """All that the cache and the store hold of a place, as text to search in."""
    async with AsyncMongoClient[dict[str, Any]](place.environment["MONGO_URL"]) as client:
        found = [repr(document) async for document in client.get_default_database()["results"].find()]
    async with Redis.from_url(place.environment["REDIS_URL"], protocol=2) as redis:
        keys = [key async for key in redis.scan_iter(place.environment["REDIS_PREFIX"] + "*")]
        found += [f"{key!r} {await _value(redis, key)!r}" for key in keys]
    return "\n".join(found)


async def _value(redis: Redis, key: bytes) -> object:
    kind = await redis.type(key)
    if kind == b"hash":
        return await redis.hgetall(key)
    if kind == b"zset":
        return await redis.zrange(key, 0, -1)
    return await redis.get(key)
