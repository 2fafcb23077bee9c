"""The programs that are measured: our services, and peers that do the same work in their own idiom."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from stack import ports, services
from stack.places import Place
from stack.program import ROOT, Program

PEERS = ROOT / "bench/peers"
#: Where the set-up has put what the peers need, which is not among our own requirements.
PEERS_PYTHON = ROOT / ".local/bench/venv/bin/python"


def gateway(directory: Path, place: Place, **settings: str) -> Program:
    port, admin_port = ports.free_ports(2)
    environment = {**place.environment, **settings}
    return services.gateway(directory, http_port=port, admin_port=admin_port, environment=environment)


def reader(directory: Path, place: Place, **settings: str) -> Program:
    port, admin_port = ports.free_ports(2)
    environment = {**place.environment, **settings}
    return services.result_reader(directory, http_port=port, admin_port=admin_port, environment=environment)


def worker(directory: Path, place: Place, upstream: str, **settings: str) -> Program:
    model = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": upstream, "OPENAI_MODEL": "stub-model"}
    environment = {**place.environment, **model, **settings}
    return services.gpt_worker(directory, admin_port=ports.free_port(), environment=environment)


def hello(directory: Path) -> Program:
    return _listening("hello", (sys.executable, str(PEERS / "hello.py")), directory, {})


def koa(directory: Path, place: Place) -> Program:
    environment = {**place.environment, "NODE_ENV": "production"}
    return _listening("koa", (shutil.which("node") or "node", str(PEERS / "koa/server.js")), directory, environment)


def bare(directory: Path, place: Place) -> Program:
    return _listening("bare", (sys.executable, str(PEERS / "bare.py")), directory, place.environment)


def fastapi(place: Place, module: str) -> Program:
    """One of the peers on FastAPI, with the fastest that uvicorn can use."""
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
    port = ports.free_port()
    return Program(
        name=module,
        command=(str(PEERS_PYTHON), "-m", "uvicorn", f"{module}:app", *options, "--port", str(port)),
        directory=PEERS,
        answers=lambda: not ports.is_free(port),
        environment={**place.environment, "PYTHONDONTWRITEBYTECODE": "1"},
        url=f"http://127.0.0.1:{port}",
    )


def _listening(name: str, command: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> Program:
    """A program that listens on HTTP_PORT once it has connected to all that it needs."""
    port = ports.free_port()
    return Program(
        name=name,
        command=command,
        directory=directory,
        answers=lambda: not ports.is_free(port),
        environment={**environment, "HTTP_PORT": str(port)},
        url=f"http://127.0.0.1:{port}",
    )
