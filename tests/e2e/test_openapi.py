"""Both services serve their OpenAPI document, and a fuzzer drives them by it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from tests.client import Client, ask
from tests.deployment import Deployment

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


GATEWAY = ["/v1/jobs", "/v1/jobs/{id}/cancel", "/v1/jobs/{id}", "/predict/start"]
READER = [
    "/v1/results",
    "/v1/results/{id}",
    "/v1/results/{id}/stream",
    "/v1/results/{id}/events",
    "/predict/query",
]

#: A submission in the document's shape may be refused for what no schema says: that 30 February is no date.
EXCLUDED = ("--exclude-checks", "positive_data_acceptance")


@pytest.mark.parametrize("path", GATEWAY)
async def test_the_gateway_keeps_to_its_document(path: str, system: Client, tmp_path: Path) -> None:
    await _fuzz(path, str(system.gateway_url), tmp_path, *EXCLUDED)


@pytest.mark.parametrize("path", READER)
async def test_the_reader_keeps_to_its_document(path: str, system: Client, tmp_path: Path) -> None:
    await _fuzz(path, str(system.reader_url), tmp_path)


async def test_what_is_served_is_what_is_in_the_docs(system: Client, http: ClientSession) -> None:
    written = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    served = [await _served(http, url) for url in (system.gateway_url, system.reader_url)]

    assert {document["openapi"] for document in served} == {written["openapi"]}
    paths = served[0]["paths"] | served[1]["paths"]
    assert list(paths) == list(written["paths"])
    for path, operations in paths.items():
        assert written["paths"][path] == {"servers": written["paths"][path]["servers"], **operations}
    for document in served:
        schemas = document["components"]["schemas"]
        assert schemas == {name: written["components"]["schemas"][name] for name in schemas}


async def test_the_document_says_what_this_gateway_takes(deployment: Deployment, http: ClientSession) -> None:
    gateway = deployment.gateway(JOB_DEADLINE_S="1800", JOB_TIMEOUT_S="120", API_KEYS="alice:alice-key")

    schemas = (await _served(http, gateway.url))["components"]["schemas"]

    assert schemas["Submission"]["properties"]["deadline_s"]["anyOf"][0]["maximum"] == 1800
    assert schemas["Options"]["properties"]["timeout_s"]["anyOf"][0]["maximum"] == 120


async def _served(http: ClientSession, service: URL) -> dict[str, Any]:
    answer = await ask(http, "GET", service.with_path("/openapi.json"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    document: dict[str, Any] = answer.body
    return document


async def _fuzz(path: str, url: str, directory: Path, *options: str) -> None:
    """Send what the document allows and what it forbids, and hold each answer to the document."""
    fuzzer = str(Path(sys.executable).with_name("st"))
    process = await asyncio.create_subprocess_exec(
        *(fuzzer, "run", str(DOCUMENT), "--url", url, "--include-path", path),
        *("--max-examples", "40", "--seed", "1", "--phases", "examples,coverage,fuzzing"),
        *("--suppress-health-check", "all", "--no-color", *options),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
