"""Our three services as programs, and the model stub as one."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from stack import answers
from stack.program import ROOT, Program

#: What the services take when JOB_TIMEOUT_S is not set.
DEFAULT_JOB_TIMEOUT_S = 300.0


def gateway(directory: Path, *, http_port: int, admin_port: int, environment: Mapping[str, str]) -> Program:
    return _service("gateway", "gateway", directory, http_port, admin_port, environment)


def result_reader(directory: Path, *, http_port: int, admin_port: int, environment: Mapping[str, str]) -> Program:
    return _service("result-reader", "result_reader", directory, http_port, admin_port, environment, grace_s=40)


def gpt_worker(
    directory: Path,
    *,
    admin_port: int,
    environment: Mapping[str, str],
    job_timeout_s: float = DEFAULT_JOB_TIMEOUT_S,
) -> Program:
    """The worker, which at SIGTERM may finish the calls in hand: they take `job_timeout_s` at the longest."""
    grace_s = job_timeout_s + 30
    return _service("gpt-worker", "gpt_worker", directory, None, admin_port, environment, grace_s=grace_s)


def model_stub(port: int, delay_s: float) -> Program:
    base_url = f"http://127.0.0.1:{port}/v1"
    command = (sys.executable, "-m", "stack.model_stub", "--port", str(port), "--delay", str(delay_s))
    return Program(
        name="model-stub",
        command=command,
        directory=ROOT,
        answers=partial(answers.http_ok, f"{base_url}/models"),
        url=base_url,
    )


def _service(  # noqa: PLR0913 (one row of a table)
    name: str,
    package: str,
    directory: Path,
    http_port: int | None,
    admin_port: int,
    environment: Mapping[str, str],
    *,
    grace_s: float = 20,
) -> Program:
    ports = {"ADMIN_PORT": str(admin_port)} | ({"HTTP_PORT": str(http_port)} if http_port else {})
    return Program(
        name=name,
        command=(sys.executable, "-m", package),
        directory=directory,
        answers=partial(answers.http_ok, f"http://127.0.0.1:{admin_port}/readyz"),
        environment={**environment, **ports, "HTTP_HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"},
        url=f"http://127.0.0.1:{http_port or admin_port}",
        admin_url=f"http://127.0.0.1:{admin_port}",
        grace_s=grace_s,
    )
