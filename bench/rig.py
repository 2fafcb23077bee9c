"""What all benchmarks stand on: real servers, programs pinned to a core each, a load generator, and clocks.

Whatever is not pinned by name runs on the load's core: the servers, the load generator, the benchmark itself. So the
service under test has a core of its own.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from bench import wrk
from bench.usage import cpu_seconds, rss_bytes
from bench.wrk import WrkResult
from stack import servers as programs
from stack.places import Place, Servers
from stack.process import Process
from stack.program import Program

__all__ = ["CORE_OF_LOAD", "CORE_OF_SERVICE", "Rig", "WrkResult", "cpu_seconds", "rss_bytes"]

CORE_OF_SERVICE = 0
CORE_OF_LOAD = 1

#: The virtual host in which a queue that is declared without arguments is a quorum queue, as in production.
QUORUM = "quorum"


@dataclass
class Rig:
    """One for a whole run; each benchmark gets it in turn."""

    servers: Servers
    #: How often each subject is measured: once in each round, one subject after the other.
    rounds: int
    #: Whether shorter and coarser figures are wanted.
    is_quick: bool
    #: Where logs and scripts go.
    directory: Path
    _running: list[Process] = field(default_factory=list)

    @classmethod
    @contextmanager
    def ready(cls, directory: Path, *, rounds: int, is_quick: bool) -> Iterator[Self]:
        """A rig with servers of its own, which are stopped at the end."""
        os.sched_setaffinity(0, {CORE_OF_LOAD})
        directory.mkdir(parents=True, exist_ok=True)
        with Servers.running(directory / "servers") as servers:
            _add_quorum_host(servers)
            rig = cls(servers, rounds, is_quick, directory)
            try:
                yield rig
            finally:
                rig.stop_all()

    @property
    def few_rounds(self) -> int:
        """For a benchmark of which a round takes a minute or so."""
        return 1 if self.is_quick else min(self.rounds, 3)

    def place(self, queue_type: Literal["classic", "quorum"] = "classic") -> Place:
        """Names on the servers that no other subject uses; `queue_type` is that of the job queue."""
        place = Place.on(self.servers)
        if queue_type == "quorum":
            place.environment["AMQP_URL"] += QUORUM
        return place

    def start(self, program: Program, *, core: int | None = None) -> Process:
        """The program, once it answers; it runs until `stop_all`, if it is not stopped earlier."""
        if core is not None:
            program = replace(program, command=("taskset", "-c", str(core), *program.command))
        process = Process(program, self.directory / f"{program.name}-{len(self._running)}.log")
        self._running.append(process)
        process.start()
        return process

    def stop_all(self) -> None:
        """At the end of each benchmark. Nobody waits any more for what a program still has in hand."""
        while self._running:
            self._running.pop().kill()

    async def wrk(
        self, url: str, *, connections: int = 64, seconds: float = 5, script: str | None = None
    ) -> WrkResult:
        """Load from the load's core; `script` is Lua."""
        text = (script or "") + wrk.REPORT
        # By its content, since several may be read at once.
        file = self.directory / f"wrk-{sha256(text.encode()).hexdigest()[:16]}.lua"
        if not file.exists():
            file.write_text(text, encoding="utf-8")
        return await wrk.run(url, core=CORE_OF_LOAD, connections=connections, seconds=seconds, script=file)


def _add_quorum_host(servers: Servers) -> None:
    broker = servers.rabbitmq.program
    for command in (
        ("add_vhost", QUORUM, "--default-queue-type", "quorum"),
        ("set_permissions", "--vhost", QUORUM, "guest", ".*", ".*", ".*"),
    ):
        environment = {**os.environ, **broker.environment}
        subprocess.run(programs.rabbitmqctl(*command), env=environment, check=True, capture_output=True, timeout=60)
