"""The services as processes, with settings and names of one test's own on the servers that all tests share."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from aiohttp import ClientSession
from yarl import URL

from stack import answers, ports, servers, services
from stack.process import Process
from stack.program import Program

JOB_ID_KEY = "a-key-for-the-tests-only"
#: Servers that are not there; port 1 is nobody's.
NOWHERE = {"AMQP_URL": "amqp://guest:a-secret@127.0.0.1:1/", "REDIS_URL": "redis://127.0.0.1:1/0"}


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
    """Names on the servers that no other test uses."""

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


@dataclass(frozen=True)
class Service:
    """A running service; `url` is its public door, `admin_url` the one for health and metrics."""

    process: Process
    url: URL
    admin_url: URL

    async def metric(self, http: ClientSession, name: str, **labels: str) -> float:
        """The value of a metric, summed over all samples that have these labels."""
        async with http.get(self.admin_url / "metrics") as response:
            lines = (await response.text()).splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        samples = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.split()[-1]) for line in samples if all(label in line for label in wanted))

    def logged(self) -> str:
        """Everything that the service has printed."""
        return self.process.output()


class Deployment:
    """Starts services in one place, and stops them all at the end."""

    def __init__(self, place: Place, upstream: str, directory: Path) -> None:
        self.place = place
        self._upstream = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": upstream, "OPENAI_MODEL": "stub-model"}
        self._directory = directory
        self._services: list[Service] = []

    def gateway(self, **settings: str) -> Service:
        port, admin_port = ports.free_ports(2)
        environment = self._environment(settings)
        return self._start(
            services.gateway(self._directory, http_port=port, admin_port=admin_port, environment=environment)
        )

    def gateway_without_servers(self, **settings: str) -> Service:
        """A gateway that lives but is not ready."""
        port, admin_port = ports.free_ports(2)
        environment = self._environment(NOWHERE | settings)
        program = services.gateway(self._directory, http_port=port, admin_port=admin_port, environment=environment)
        lives = partial(answers.http_ok, f"http://127.0.0.1:{admin_port}/healthz")
        return self._start(replace(program, answers=lives))

    def reader(self, **settings: str) -> Service:
        port, admin_port = ports.free_ports(2)
        environment = self._environment(settings)
        return self._start(
            services.result_reader(self._directory, http_port=port, admin_port=admin_port, environment=environment)
        )

    def worker(self, **settings: str) -> Service:
        environment = self._environment(self._upstream | settings)
        return self._start(
            services.gpt_worker(self._directory, admin_port=ports.free_port(), environment=environment)
        )

    def stop(self) -> None:
        for service in reversed(self._services):
            # Nobody waits any more for what a worker still has in hand.
            service.process.kill()

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        return {"PYTHONWARNINGS": "error", **self.place.environment, **settings}

    def _start(self, program: Program) -> Service:
        log = self._directory / f"{program.name}-{len(self._services)}.log"
        process = Process(program, log, ready_within_s=20)
        service = Service(process, URL(program.url), URL(program.admin_url))
        self._services.append(service)
        process.start()
        return service
