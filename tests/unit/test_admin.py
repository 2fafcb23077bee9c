"""The port for health and metrics."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from common.errors import StoreUnavailable
from common.lifecycle import CannotStart
from common.web import admin_application, application, serving
from stack.ports import free_port


class Backend:
    """A server that answers or does not."""

    is_there = True

    async def check(self) -> None:
        if not self.is_there:
            raise StoreUnavailable


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def admin(backend: Backend, stop: asyncio.Event) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(TestServer(admin_application({"store": backend.check}, stop))) as client:
        yield client


Admin = TestClient[web.Request, web.Application]


async def test_it_is_ready_while_its_servers_answer(admin: Admin, backend: Backend) -> None:
    async with admin.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok", "checks": {"store": "ok"}})
    backend.is_there = False
    async with admin.get("/readyz") as response:
        assert response.status == 503
        assert await response.json() == {"status": "unavailable", "checks": {"store": "store_unavailable"}}


async def test_it_is_not_ready_once_it_is_told_to_stop(admin: Admin, stop: asyncio.Event) -> None:
    stop.set()
    async with admin.get("/readyz") as response:
        assert response.status == 503


async def test_it_lives_whatever_its_servers_do(admin: Admin, backend: Backend, stop: asyncio.Event) -> None:
    backend.is_there = False
    stop.set()
    async with admin.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_it_exports_every_metric(admin: Admin) -> None:
    async with admin.get("/metrics") as response:
        exported = await response.text()
    for name in ("accepted", "finished", "attempts", "queue_wait_seconds", "upstream_call_seconds", "in_progress",
                 "tokens", "lookups", "http_requests", "queue_depth"):  # fmt: skip
        assert f"# HELP gpt_jobs_{name}" in exported


async def test_a_port_that_is_taken_is_named() -> None:
    port = free_port()
    async with serving(application([]), "127.0.0.1", port, 1):
        with pytest.raises(CannotStart, match=f"cannot listen on 127.0.0.1:{port} "):
            async with serving(application([]), "127.0.0.1", port, 1):
                pass
