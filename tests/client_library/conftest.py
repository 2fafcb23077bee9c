"""A server that misbehaves, and a client of it."""

from collections.abc import AsyncIterator

import pytest

from gpt_jobs import GptJobs
from tests.client_library.unruly import Unruly


@pytest.fixture
async def unruly() -> AsyncIterator[Unruly]:
    """The server; a test says what it does."""
    async with Unruly() as server:
        yield server
        assert server.behaviours == [], "not everything was asked for"


@pytest.fixture
async def jobs(unruly: Unruly) -> AsyncIterator[GptJobs]:
    """The client under test."""
    async with GptJobs(unruly.url, api_key="a-key", timeout_s=5, patience_s=10) as client:
        yield client
