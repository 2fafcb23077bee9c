"""supervisord with our programs: starting it, talking to it, stopping it."""

import contextlib
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from stack import orphans, supervisord_conf
from stack.program import Program

# Variables that would change our RabbitMQ from outside.
UNWANTED = ("RABBITMQ_", "ERL_")
LOOPBACK = "127.0.0.1,localhost"


# Some of supervisord's states. A program that does not run may be about to be started again, but for the last.
GIVEN_UP = "FATAL"
NOT_RUNNING = {"BACKOFF", "EXITED", "STOPPED", "UNKNOWN", GIVEN_UP}


class Supervisor:
    """One supervisord in the foreground, our child."""

    def __init__(self, directory: Path, socket: Path, groups: Mapping[str, Sequence[Program]]) -> None:
        self.logs = supervisord_conf.logs(directory)
        self._directory = directory
        self._config = directory / "supervisord.conf"
        self._socket = socket
        self._groups = groups
        self._child: subprocess.Popen[bytes] | None = None

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def start(self, environ: Mapping[str, str]) -> None:
        """`environ` is what the programs inherit, beside what each is given."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for earlier in self.logs.glob("*.log"):
            earlier.replace(earlier.with_suffix(".log.old"))
        for programs in self._groups.values():
            for program in programs:
                program.prepare()
        self._config.touch(mode=0o600)  # it holds the keys of the job ids
        rendered = supervisord_conf.render(self._directory, self._socket, self._groups)
        self._config.write_text(rendered, encoding="utf-8")
        command = (sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config))
        with (self.logs / "supervisord.log").open("ab") as log:
            self._child = subprocess.Popen(
                orphans.bound(command),
                env=_inherited(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for `run`, which then stops everything in order
            )

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def listening(self) -> bool:
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            return bool(self._call("getState"))
        return False

    def start_program(self, name: str) -> None:
        group = next(group for group, programs in self._groups.items() if name in {p.name for p in programs})
        without_waiting = False
        self._call("startProcess", f"{group}:{name}", without_waiting)

    def states(self) -> dict[str, str]:
        """The state of each program in supervisord's words; empty when supervisord does not answer."""
        try:
            found = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return {}
        return {info["name"]: info["statename"] for info in found}

    def begin_stop(self) -> None:
        """Have everything stopped, the last group first; it is done when `running` is False."""
        if self._child is not None and self.running:
            self._child.terminate()

    def kill(self) -> None:
        if self._child is not None and self.running:
            self._child.kill()
            self._child.wait()

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(UNWANTED)}
    # The stub is on this machine, where a proxy would look for it in vain.
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY")
    return kept | dict.fromkeys(("no_proxy", "NO_PROXY"), f"{exempt},{LOOPBACK}" if exempt else LOOPBACK)
