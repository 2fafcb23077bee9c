"""The services as processes, with settings and names of one test's own on the servers that all tests share."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aiohttp import ClientSession
from yarl import URL

from stack import answers, ports, services
from stack.places import JOB_ID_KEY, Place, Servers
from stack.process import Process
from stack.program import Program

__all__ = ["JOB_ID_KEY", "NOWHERE", "Deployment", "Place", "Servers", "Service"]

#: Servers that are not there; port 1 is nobody's.
NOWHERE = {
    "AMQP_URL": "amqp://guest:a-secret@127.0.0.1:1/",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "MONGO_URL": "mongodb://127.0.0.1:1/",
}


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

    def with_page(self, **settings: str) -> tuple[Service, Service]:
        """A gateway that serves the page, and the reader that the page asks; each is told where the other one is."""
        gateway_port, gateway_admin, reader_port, reader_admin = ports.free_ports(4)
        page = {
            "PLAYGROUND": "true",
            "PLAYGROUND_RESULTS_URL": f"http://127.0.0.1:{reader_port}",
            "CORS_ORIGINS": f"http://127.0.0.1:{gateway_port}",
        }
        environment = self._environment(page | settings)
        gateway = services.gateway(
            self._directory, http_port=gateway_port, admin_port=gateway_admin, environment=environment
        )
        reader = services.result_reader(
            self._directory, http_port=reader_port, admin_port=reader_admin, environment=environment
        )
        return self._start(gateway), self._start(reader)

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
