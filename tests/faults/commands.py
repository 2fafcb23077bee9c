"""What operators' commands do to a server: RabbitMQ's alarm, Redis's limit."""

import asyncio
import os

import redis.asyncio

from stack.servers import rabbitmqctl
from tests.deployment import Servers


async def run_rabbitmqctl(servers: Servers, *arguments: str) -> None:
    """Run it to its end."""
    process = await asyncio.create_subprocess_exec(
        *rabbitmqctl(*arguments),
        env={**os.environ, **servers.rabbitmq.program.environment},
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 0


async def configure_redis(servers: Servers, **settings: str) -> None:
    """CONFIG SET."""
    async with redis.asyncio.Redis.from_url(servers.redis.program.url) as client:
        for name, value in settings.items():
            await client.config_set(name, value)
