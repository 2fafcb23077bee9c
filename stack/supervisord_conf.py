"""The configuration of supervisord: our programs, in groups that are started and stopped one after the other."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack import orphans
from stack.program import Program

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

# All of a group are stopped at once, the groups one after the other, from the last to the first.
GROUP = """
[group:{name}]
programs = {programs}
priority = {priority}
"""

# Not started by itself: `run` starts each program once those that it needs really answer.
PROGRAM = """
[program:{name}]
command = {command}
directory = {directory}
environment = {environment}
autostart = false
autorestart = true
startsecs = 5
startretries = 3
stopwaitsecs = {grace}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""


def render(directory: Path, socket: Path, groups: Mapping[str, Sequence[Program]]) -> str:
    """Everything is written below `directory`; `socket` is for talking to it."""
    head = HEAD.format(
        logs=_escaped(logs(directory)),
        pidfile=_escaped(pidfile(directory)),
        socket=_escaped(socket),
        user="user = root\n" if os.geteuid() == 0 else "",  # else it warns that root is unwise
    )
    sections = [head]
    for priority, (group, programs) in enumerate(groups.items(), start=1):
        names = ",".join(program.name for program in programs)
        sections.append(GROUP.format(name=group, programs=names, priority=priority))
        sections.extend(_section(program, logs(directory)) for program in programs)
    return "".join(sections)


def logs(directory: Path) -> Path:
    """Holds a file for each program, and supervisord's own."""
    return directory / "logs"


def pidfile(directory: Path) -> Path:
    """Removed by supervisord when it ends as it should."""
    return directory / "supervisord.pid"


def _section(program: Program, logs: Path) -> str:
    return PROGRAM.format(
        name=program.name,
        command=_escaped(shlex.join(orphans.bound(program.command))),
        directory=_escaped(program.directory),
        environment=_escaped(_assignments(program.environment)),
        grace=int(program.grace_s),
        log=_escaped(logs / f"{program.name}.log"),
    )


def _assignments(environment: Mapping[str, str]) -> str:
    """Supervisord knows no escape for a quote; none of the values that we make up holds one."""
    for name, value in environment.items():
        if '"' in value or "\n" in value:
            raise ValueError(f"{name} holds a quote or a line break, which supervisord cannot be told")
    return ",".join(f'{name}="{value}"' for name, value in environment.items())


def _escaped(value: str | os.PathLike[str]) -> str:
    """In supervisord's configuration % begins an expansion."""
    return os.fspath(value).replace("%", "%%")
