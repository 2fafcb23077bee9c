"""A fuzzer drives both services by their OpenAPI document."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.client import Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


GATEWAY = ["/v1/jobs", "/v1/jobs/{id}/cancel", "/v1/jobs/{id}", "/predict/start"]
READER = ["/v1/results", "/v1/results/{id}", "/predict/query"]

#: A submission in the document's shape may be refused for what no schema says: that 30 February is no date.
EXCLUDED = ("--exclude-checks", "positive_data_acceptance")


@pytest.mark.parametrize("path", GATEWAY)
async def test_the_gateway_keeps_to_its_document(path: str, system: Client, tmp_path: Path) -> None:
    await _fuzz(path, str(system.gateway_url), tmp_path, *EXCLUDED)


@pytest.mark.parametrize("path", READER)
async def test_the_reader_keeps_to_its_document(path: str, system: Client, tmp_path: Path) -> None:
    await _fuzz(path, str(system.reader_url), tmp_path)


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
