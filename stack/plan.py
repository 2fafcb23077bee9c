"""What `make run` starts, and where: worked out from the environment, nothing is started here."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import servers, services
from stack.program import Program

MODEL_OF_THE_STUB = "stub"
STUB_DELAY_S = 2.0

#: The variable that moves the port, the port, and what needs it.
PORTS = (
    ("GATEWAY_PORT", 8080, "the gateway"),
    ("READER_PORT", 8081, "the result-reader"),
    ("GATEWAY_ADMIN_PORT", 18080, "the gateway's health and metrics"),
    ("READER_ADMIN_PORT", 18081, "the result-reader's health and metrics"),
    ("WORKER_ADMIN_PORT", 18082, "the worker's health and metrics"),
    ("STACK_AMQP_PORT", 18083, "RabbitMQ"),
    ("STACK_DISTRIBUTION_PORT", 18084, "RabbitMQ's command line tools"),
    ("STACK_EPMD_PORT", 18085, "Erlang's port mapper, for RabbitMQ"),
    ("STACK_REDIS_PORT", 18086, "Redis"),
    ("STACK_MONGO_PORT", 18087, "MongoDB"),
    ("STACK_STUB_PORT", 18088, "the model stub"),
)


class WrongSettingError(Exception):
    """A variable holds what cannot be used; the message names it."""


@dataclass(frozen=True)
class Port:
    """A port, what needs it, and the variable that moves it."""

    number: int
    needed_by: str
    variable: str


@dataclass(frozen=True)
class Plan:
    """The programs in waves: each is started when the one before it answers, and stopped before it."""

    waves: Mapping[str, tuple[Program, ...]]
    ports: tuple[Port, ...]
    #: None when a real upstream is used.
    stub: Program | None

    @property
    def programs(self) -> tuple[Program, ...]:
        return tuple(program for wave in self.waves.values() for program in wave)

    def __getitem__(self, name: str) -> Program:
        return next(program for program in self.programs if program.name == name)


def make_plan(environ: Mapping[str, str], directory: Path) -> Plan:
    ports = _ports(environ)
    at = {port.variable: port.number for port in ports}
    stub = None if uses_real_model(environ) else services.model_stub(at["STACK_STUB_PORT"], STUB_DELAY_S)
    epmd = servers.epmd(directory / "epmd", at["STACK_EPMD_PORT"])
    rabbitmq = servers.rabbitmq(
        directory / "rabbitmq",
        at["STACK_AMQP_PORT"],
        epmd_port=at["STACK_EPMD_PORT"],
        distribution_port=at["STACK_DISTRIBUTION_PORT"],
    )
    redis = servers.redis(directory / "redis", at["STACK_REDIS_PORT"])
    mongodb = servers.mongodb(directory / "mongodb", at["STACK_MONGO_PORT"])
    shared = {
        "AMQP_URL": rabbitmq.url,
        "REDIS_URL": redis.url,
        "MONGO_URL": mongodb.url,
    }
    # What the user has set reaches the services by inheritance.
    if not environ.get("JOB_ID_KEYS"):
        shared["JOB_ID_KEYS"] = _kept_secret(directory / "job-id-keys")
    page = _page(environ, at["GATEWAY_PORT"], at["READER_PORT"])
    work = directory / "services"
    reader = services.result_reader(
        work, http_port=at["READER_PORT"], admin_port=at["READER_ADMIN_PORT"], environment=shared | page
    )
    worker = services.gpt_worker(
        work,
        admin_port=at["WORKER_ADMIN_PORT"],
        environment=shared | _model(environ, stub),
        job_timeout_s=_number(environ, "JOB_TIMEOUT_S", services.DEFAULT_JOB_TIMEOUT_S),
    )
    gateway = services.gateway(
        work, http_port=at["GATEWAY_PORT"], admin_port=at["GATEWAY_ADMIN_PORT"], environment=shared | page
    )
    return Plan(
        waves={
            "epmd": (epmd,),
            "servers": (redis, mongodb, rabbitmq, *([stub] if stub else [])),
            "services": (reader, worker, gateway),
        },
        ports=tuple(port for port in ports if stub or port.variable != "STACK_STUB_PORT"),
        stub=stub,
    )


def _page(environ: Mapping[str, str], gateway_port: int, reader_port: int) -> dict[str, str]:
    """What puts the page at `/`, and lets it read results on the other port; what the user has set counts more."""
    told = {
        "PLAYGROUND": "true",
        "PLAYGROUND_RESULTS_URL": f"http://127.0.0.1:{reader_port}",
        "CORS_ORIGINS": ",".join(f"http://{name}:{gateway_port}" for name in ("127.0.0.1", "localhost")),
    }
    return {name: value for name, value in told.items() if not environ.get(name)}


def uses_real_model(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("OPENAI_API_KEY") or environ.get("OPENAI_BASE_URL"))


def _model(environ: Mapping[str, str], stub: Program | None) -> dict[str, str]:
    """What the worker is told about the model beyond what the user has set."""
    if stub:
        told = {"OPENAI_API_KEY": "stub", "OPENAI_BASE_URL": stub.url}
        return told if environ.get("OPENAI_MODEL") else told | {"OPENAI_MODEL": MODEL_OF_THE_STUB}
    return {}


def _ports(environ: Mapping[str, str]) -> tuple[Port, ...]:
    ports = tuple(
        Port(int(_number(environ, variable, default)), needed_by, variable) for variable, default, needed_by in PORTS
    )
    taken: dict[int, Port] = {}
    for port in ports:
        if not 0 < port.number < 65536:
            raise WrongSettingError(f"{port.variable}={port.number} is not a port")
        if other := taken.get(port.number):
            raise WrongSettingError(f"{port.variable} and {other.variable} are both {port.number}")
        taken[port.number] = port
    return ports


def _number(environ: Mapping[str, str], variable: str, default: float) -> float:
    try:
        return float(environ.get(variable) or default)
    except ValueError:
        raise WrongSettingError(f"{variable}={environ[variable]} is not a number") from None


def _kept_secret(path: Path) -> str:
    """Made at the first start and kept, so that ids given out earlier stay valid."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    if not path.read_text():
        path.write_text(secrets.token_hex(32))
    return path.read_text()
