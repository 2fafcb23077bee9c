"""The three servers together, and names on them that nobody else uses: for the tests and for the benchmarks."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from stack import ports, servers
from stack.process import Process

JOB_ID_KEY = "a-key-for-the-tests-only"


@dataclass(frozen=True)
class Servers:
    """RabbitMQ, Redis and MongoDB, and where they are."""

    rabbitmq: Process
    redis: Process
    mongodb: Process

    @classmethod
    @contextmanager
    def running(
        cls, home: Path, *, rabbitmq_plugins: Sequence[str] = (), rabbitmq_settings: Sequence[str] = ()
    ) -> Iterator[Self]:
        """Servers that are started here and stopped at the end."""
        amqp_port, epmd_port, distribution_port, redis_port, mongodb_port = ports.free_ports(5)
        epmd = Process(servers.epmd(home / "epmd", epmd_port), home / "epmd.log")
        rabbitmq = Process(
            servers.rabbitmq(
                home / "rabbitmq",
                amqp_port,
                epmd_port=epmd_port,
                distribution_port=distribution_port,
                settings=rabbitmq_settings,
                plugins=rabbitmq_plugins,
            ),
            home / "rabbitmq.log",
        )
        redis = Process(servers.redis(home / "redis", redis_port), home / "redis.log")
        mongodb = Process(
            servers.mongodb(home / "mongodb", mongodb_port, parameters=("ttlMonitorSleepSecs=1",)),
            home / "mongodb.log",
        )
        with epmd, redis, mongodb, rabbitmq:
            yield cls(rabbitmq, redis, mongodb)


@dataclass(frozen=True)
class Place:
    """Names on the servers that nobody else uses."""

    environment: dict[str, str]

    @classmethod
    def on(cls, servers: Servers) -> Self:
        """A new place."""
        name = f"t{secrets.token_hex(6)}"
        return cls(
            {
                "AMQP_URL": servers.rabbitmq.program.url,
                "AMQP_EXCHANGE": f"{name}-exchange",
                "AMQP_QUEUE": f"{name}-queue",
                "REDIS_URL": servers.redis.program.url,
                "REDIS_PREFIX": f"{name}:",
                "MONGO_URL": f"{servers.mongodb.program.url}{name}",
                "JOB_ID_KEYS": JOB_ID_KEY,
                "RETRY_DELAY_S": "0.2",
            }
        )

    @property
    def exchange(self) -> str:
        return self.environment["AMQP_EXCHANGE"]

    @property
    def queue(self) -> str:
        return self.environment["AMQP_QUEUE"]
