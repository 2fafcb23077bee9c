"""supervisord with our programs: its configuration, and talking to it."""

import contextlib
import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from stack import orphans
from stack.program import Program

# Variables that would change our RabbitMQ from outside.
UNWANTED = ("RABBITMQ_", "ERL_")
LOOPBACK = "127.0.0.1,localhost"

HEAD = """\
[supervisord]
nodaemon = true
silent = true
logfile = {logs}/supervisord.log
pidfile = {pidfile}
{user}umask = 077

[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{socket}
"""

# Not started by itself: `run` starts each program once those that it needs really answer.
PROGRAM = """
[program:{name}]
command = {command}
directory = {directory}
environment = {environment}
priority = {priority}
autostart = false
autorestart = true
startsecs = 1
startretries = 3
stopwaitsecs = {grace}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""


@dataclass(frozen=True)
class State:
    """As supervisord sees one program."""

    name: str
    pid: int

    @property
    def is_final(self) -> bool:
        """It will not be started again."""
        return self.name in {"FATAL", "EXITED", "STOPPED", "UNKNOWN"}


class Supervisor:
    """One supervisord in the foreground, our child."""

    def __init__(self, directory: Path, socket: Path, programs: Sequence[Program]) -> None:
        self.logs = directory / "logs"
        self.pidfile = directory / "supervisord.pid"
        self._config = directory / "supervisord.conf"
        self._socket = socket
        self._programs = programs
        self._child: subprocess.Popen[bytes] | None = None

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def start(self, environ: Mapping[str, str]) -> None:
        """`environ` is what the programs inherit, beside what each is given."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for program in self._programs:
            program.prepare()
        self._config.touch(mode=0o600)  # it holds the keys of the job ids
        self._config.write_text(self._rendered(), encoding="utf-8")
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
        without_waiting = False
        self._call("startProcess", name, without_waiting)

    def states(self) -> dict[str, State]:
        """Empty when supervisord does not answer."""
        try:
            found = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return {}
        return {info["name"]: State(info["statename"], info["pid"]) for info in found}

    def begin_stop(self) -> None:
        """Have everything stopped, the last started first; it is done when `running` is False."""
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

    def _rendered(self) -> str:
        head = HEAD.format(
            logs=_escaped(self.logs),
            pidfile=_escaped(self.pidfile),
            socket=_escaped(self._socket),
            user="user = root\n" if os.geteuid() == 0 else "",  # else it warns that root is unwise
        )
        return head + "".join(
            PROGRAM.format(
                name=program.name,
                command=_escaped(shlex.join(orphans.bound(program.command))),
                directory=_escaped(program.directory),
                environment=_escaped(_assignments(program.environment)),
                priority=priority,
                grace=int(program.grace_s),
                log=_escaped(self.log(program.name)),
            )
            for priority, program in enumerate(self._programs, start=1)
        )


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(UNWANTED)}
    # The stub is on this machine, where a proxy would look for it in vain.
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY")
    return kept | dict.fromkeys(("no_proxy", "NO_PROXY"), f"{exempt},{LOOPBACK}" if exempt else LOOPBACK)


def _assignments(environment: Mapping[str, str]) -> str:
    """Supervisord knows no escape for a quote; none of the values that we make up holds one."""
    for name, value in environment.items():
        if '"' in value or "\n" in value:
            raise ValueError(f"{name} holds a quote or a line break, which supervisord cannot be told")
    return ",".join(f'{name}="{value}"' for name, value in environment.items())


def _escaped(value: str | os.PathLike[str]) -> str:
    """In supervisord's configuration % begins an expansion."""
    return os.fspath(value).replace("%", "%%")
