"""The services as processes, with settings and names of one test's own on the servers that all tests share."""

import secrets
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from aiohttp import ClientSession
from yarl import URL

from stack import answers, ports
from stack.process import Process
from stack.program import Program

JOB_ID_KEY = "a-key-for-the-tests-only"


@dataclass(frozen=True)
class Servers:
    """The servers that all tests share, and where they are."""

    rabbitmq: Process
    redis: Process
    mongodb: Process


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
        self._upstream = upstream
        self._directory = directory
        self._services: list[Service] = []

    def gateway(self, **settings: str) -> Service:
        return self._start("gateway", settings)

    def gateway_without_servers(self, **settings: str) -> Service:
        return self._start("gateway", settings, path="/healthz")

    def reader(self, **settings: str) -> Service:
        return self._start("result_reader", settings)

    def worker(self, **settings: str) -> Service:
        upstream = {"OPENAI_API_KEY": "sk-test-key", "OPENAI_BASE_URL": self._upstream, "OPENAI_MODEL": "stub-model"}
        return self._start("gpt_worker", upstream | settings)

    def stop(self) -> None:
        for service in reversed(self._services):
            service.process.stop()

    def _start(self, module: str, settings: dict[str, str], path: str = "/readyz") -> Service:
        port, admin_port = ports.free_ports(2)
        doors = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(port), "ADMIN_PORT": str(admin_port)}
        number = len(self._services)
        program = Program(
            name=module,
            command=(sys.executable, "-m", module),
            directory=self._directory,
            answers=partial(answers.http_ok, f"http://127.0.0.1:{admin_port}{path}"),
            environment={"PYTHONWARNINGS": "error", **self.place.environment, **doors, **settings},
        )
        process = Process(program, self._directory / f"{module}-{number}.log", ready_within_s=20)
        service = Service(process, URL(f"http://127.0.0.1:{port}"), URL(f"http://127.0.0.1:{admin_port}"))
        self._services.append(service)
        process.start()
        return service
