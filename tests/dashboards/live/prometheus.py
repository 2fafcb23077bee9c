"""A real Prometheus, and what is asked of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientSession
from yarl import URL

from stack import answers
from stack.program import ROOT, Program

BIN = ROOT / ".local" / "prometheus" / "usr" / "bin"
INTERVAL = "1s"


@dataclass(frozen=True)
class Target:
    """Something to scrape, with the labels that an operator's monitor would give it."""

    url: URL
    labels: Mapping[str, str]

    def as_job(self, name: str) -> dict[str, Any]:
        """The part of the configuration about it."""
        job: dict[str, Any] = {
            "job_name": name,
            "metrics_path": self.url.path,
            "static_configs": [{"targets": [f"{self.url.host}:{self.url.port}"], "labels": dict(self.labels)}],
        }
        return job | (
            {"params": {key: self.url.query.getall(key) for key in set(self.url.query)}} if self.url.query else {}
        )


def program(directory: Path, port: int, targets: Sequence[Target], rules: Mapping[str, Any]) -> Program:
    """Prometheus, as Debian has it, on a port of its own."""
    config, alerts = directory / "prometheus.yml", directory / "rules.yml"
    settings = {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [alerts.name],
        "scrape_configs": [target.as_job(f"target-{number}") for number, target in enumerate(targets)],
    }
    command = (
        *(str(BIN / "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    )
    return Program(
        name="prometheus",
        command=command,
        directory=directory,
        answers=partial(answers.http_ok, f"http://127.0.0.1:{port}/-/ready"),
        files={config: yaml.safe_dump(settings), alerts: yaml.safe_dump(dict(rules))},
        url=f"http://127.0.0.1:{port}",
    )


class Api:
    """Prometheus' HTTP API."""

    def __init__(self, http: ClientSession, url: str) -> None:
        self._http = http
        self._url = URL(url) / "api" / "v1"

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """What the expression is now."""
        result: list[dict[str, Any]] = (await self._get("query", query=expr))["result"]
        return result

    async def over_time(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """What it was over time."""
        result: list[dict[str, Any]] = (
            await self._get("query_range", query=expr, start=str(start), end=str(end), step=str(step))
        )["result"]
        return result

    async def alerts(self, *states: str) -> dict[str, dict[str, str]]:
        """The alerts that are in one of these states, with their annotations."""
        alerts = (await self._get("alerts"))["alerts"]
        return {alert["labels"]["alertname"]: alert["annotations"] for alert in alerts if alert["state"] in states}

    async def _get(self, path: str, **parameters: str) -> Any:
        async with (
            self._http.post(self._url / path, data=parameters)
            if parameters
            else self._http.get(self._url / path) as response
        ):
            body = await response.json()
            assert body["status"] == "success", body
            return body["data"]
