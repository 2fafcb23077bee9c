"""All services of one place, several of each kind, that can be killed, replaced and cut off from their servers."""

import asyncio
import itertools
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from yarl import URL

from stack import ports, services
from stack.process import Process
from stack.program import Program
from stack.tcp_proxy import TcpProxy
from tests.deployment import Place, Servers, Service
from tests.faults.readiness import ready

#: Patience is short, so that faults are felt within a test.
SETTINGS = {
    "BROKER_TIMEOUT_S": "3",
    "CACHE_TIMEOUT_S": "2",
    "STORE_TIMEOUT_S": "2",
    "RETRY_DELAY_S": "0.3",
    "RETRY_MAX_DELAY_S": "4",
    "RECOVERY_GRACE_S": "5",
    "JOB_TIMEOUT_S": "20",
    "MAX_ATTEMPTS": "12",
    "PREFETCH": "10",
    "RESULT_CACHE_TTL_S": "5",
    "OPENAI_MODEL": "stub-model",
    "PYTHONWARNINGS": "error",
}
#: Seconds between the new service's turn and SIGTERM for the old one, as the chart has with preStopSeconds: who was
#: about to connect to that has done so.
PRE_STOP_S = 0.5
#: What each kind of service talks to; of each kind the first one does it through proxies.
TALKS_TO = {
    "gateway": ("AMQP_URL", "REDIS_URL"),
    "reader": ("REDIS_URL", "MONGO_URL"),
    "worker": ("AMQP_URL", "REDIS_URL", "MONGO_URL", "OPENAI_BASE_URL"),
}


@dataclass(frozen=True)
class Size:
    """How many services of each kind."""

    gateways: int = 2
    readers: int = 2
    workers: int = 3


def hasty(place: Place) -> Place:
    """The same place, whose broker is found dead within seconds."""
    return Place({**place.environment, "AMQP_URL": place.environment["AMQP_URL"] + "?heartbeat=3"})


class Fleet:
    """The services and their proxies. What is killed stays in its place, dead, until it is mended."""

    def __init__(
        self,
        servers: Servers,
        place: Place,
        upstream: str,
        directory: Path,
        settings: Mapping[str, str] = SETTINGS,
    ) -> None:
        self.servers = servers
        self.place = place
        self.proxies: dict[str, TcpProxy] = {}
        self.gateways: list[Service] = []
        self.readers: list[Service] = []
        self.workers: list[Service] = []
        #: Told of each worker that is killed or frozen: its key, and how many jobs it can have in its hands.
        self.on_lost_hands: Callable[[str, int], None] = lambda _key, _at_most: None
        #: What ended in a way that it should not.
        self.bad_ends: list[str] = []
        self._settings = {**place.environment, **settings, "OPENAI_BASE_URL": upstream}
        self._directory = directory
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()
        self._ended_by_us: set[int] = set()

    async def start(self, size: Size) -> None:
        """Start everything at once and return when it is ready."""
        for kind, variables in TALKS_TO.items():
            for variable in variables:
                server = TcpProxy(urlsplit(self._settings[variable]).port or 0)
                self.proxies[f"{kind} {variable}"] = await self._stack.enter_async_context(server)
        for kind, members, count in (
            ("gateway", self.gateways, size.gateways),
            ("reader", self.readers, size.readers),
            ("worker", self.workers, size.workers),
        ):
            members += [self._start(kind, index) for index in range(count)]
        await self._all_ready()

    async def stop(self) -> None:
        """End everything at once."""
        for service in self.services:
            service.process.kill()
        await self._stack.aclose()

    @property
    def services(self) -> list[Service]:
        return [*self.gateways, *self.readers, *self.workers]

    @property
    def prefetch(self) -> int:
        return int(self._settings["PREFETCH"])

    def kill(self, service: Service) -> None:
        """SIGKILL."""
        self.lose_hands(service)
        self._ended_by_us.add(service.process.pid)
        service.process.kill()

    def freeze(self, service: Service) -> None:
        """SIGSTOP."""
        service.process.freeze()
        self.lose_hands(service)

    def lose_hands(self, service: Service) -> None:
        """What that service has in hand, if it is a worker, may be called again."""
        if service in self.workers:
            self.on_lost_hands(service.process.program.environment["OPENAI_API_KEY"], self.prefetch)

    def lose_all_hands(self) -> None:
        """Every worker may lose the claim on what it has."""
        for worker in self.workers:
            self.lose_hands(worker)

    async def terminate(self, service: Service) -> None:
        """SIGTERM; returns when it has ended, which it must by itself and well."""
        self._ended_by_us.add(service.process.pid)
        service.process.signal(signal.SIGTERM)
        try:
            status = await asyncio.to_thread(service.process.wait, service.process.program.grace_s)
        except subprocess.TimeoutExpired:
            self.bad_ends.append(f"{service.process.program.name} did not end after SIGTERM")
            service.process.kill()
            return
        if status != 0:
            self.bad_ends.append(f"{service.process.program.name} ended with {status} after SIGTERM")

    async def replace_all(self) -> None:
        """A deploy: of each kind one after the other, first the new one, then the old one's end."""
        for kind, members in self._kinds():
            for index, old in enumerate(members):
                new = self._start(kind, index)
                await ready(new.process)
                members[index] = new
                await asyncio.sleep(PRE_STOP_S)
                await self.terminate(old)

    async def mend(self) -> None:
        """Thaw what is frozen, start anew what is not there any more, forward again. Returns when all are ready."""
        for server in (self.servers.redis, self.servers.mongodb, self.servers.rabbitmq):
            if not server.running:
                server.start(wait=False)
            server.thaw()
            await ready(server)
        for proxy in self.proxies.values():
            await proxy.heal()
        for kind, members in self._kinds():
            for index, service in enumerate(members):
                if not service.process.running:
                    self._note_end(service)
                    members[index] = self._start(kind, index)
        await self._all_ready()

    async def _all_ready(self) -> None:
        await asyncio.gather(*(ready(service.process) for service in self.services))

    def _kinds(self) -> tuple[tuple[str, list[Service]], ...]:
        return ("gateway", self.gateways), ("reader", self.readers), ("worker", self.workers)

    def _start(self, kind: str, index: int) -> Service:
        number = next(self._numbers)
        environment = dict(self._settings)
        if kind == "worker":
            environment["OPENAI_API_KEY"] = f"sk-worker-{number}"
        if index == 0:
            for variable in TALKS_TO[kind]:
                here = self.proxies[f"{kind} {variable}"].port
                server = urlsplit(environment[variable]).port
                environment[variable] = environment[variable].replace(f":{server}", f":{here}")
        program = self._program(kind, environment)
        process = Process(program, self._directory / f"{kind}-{number}.log")
        process.start(wait=False)
        return Service(process, URL(program.url), URL(program.admin_url))

    def _program(self, kind: str, environment: Mapping[str, str]) -> Program:
        port, admin_port = ports.free_ports(2)
        if kind == "worker":
            return services.gpt_worker(
                self._directory,
                admin_port=admin_port,
                environment=environment,
                job_timeout_s=float(self._settings["JOB_TIMEOUT_S"]),
            )
        program = services.gateway if kind == "gateway" else services.result_reader
        return program(self._directory, http_port=port, admin_port=admin_port, environment=environment)

    def _note_end(self, service: Service) -> None:
        if service.process.pid not in self._ended_by_us:
            name, status = service.process.program.name, service.process.returncode
            last = "".join(service.process.output().splitlines()[-1:])
            self.bad_ends.append(f"{name} ended with {status} by itself; its log {service.process.log} ends: {last}")
