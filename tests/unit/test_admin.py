"""The port for health and metrics."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from common.errors import CacheUnavailable
from common.lifecycle import CannotStart
from common.readiness import Readiness
from common.web import admin_application, application, serving
from stack.ports import free_port


class Backend:
    """A server that answers or does not."""

    is_there = True

    async def check(self) -> None:
        if not self.is_there:
            raise CacheUnavailable


Admin = TestClient[web.Request, web.Application]


@pytest.fixture
def first() -> Backend:
    return Backend()


@pytest.fixture
def second() -> Backend:
    return Backend()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


def serving_admin(app: web.Application) -> Admin:
    return TestClient(TestServer(app))


async def readiness(admin: Admin) -> tuple[int, str]:
    async with admin.get("/readyz") as response:
        return response.status, (await response.json())["status"]


@pytest.mark.parametrize(
    ("is_there", "readyz"),
    [
        ((True, True), (200, "ok")),
        ((True, False), (200, "degraded")),
        ((False, True), (503, "unavailable")),
        ((False, False), (503, "unavailable")),
    ],
)
async def test_it_is_ready_while_a_needed_server_answers(
    first: Backend, second: Backend, stop: asyncio.Event, is_there: tuple[bool, bool], readyz: tuple[int, str]
) -> None:
    first.is_there, second.is_there = is_there
    app = admin_application(Readiness(stop, needed={"broker": first.check}, useful={"cache": second.check}))
    async with serving_admin(app) as admin:
        assert await readiness(admin) == readyz


@pytest.mark.parametrize(
    ("is_there", "readyz"),
    [
        ((True, True), (200, "ok")),
        ((True, False), (200, "degraded")),
        ((False, True), (200, "degraded")),
        ((False, False), (503, "unavailable")),
    ],
)
async def test_without_a_needed_server_any_is_enough(
    first: Backend, second: Backend, stop: asyncio.Event, is_there: tuple[bool, bool], readyz: tuple[int, str]
) -> None:
    first.is_there, second.is_there = is_there
    app = admin_application(Readiness(stop, useful={"cache": first.check, "store": second.check}))
    async with serving_admin(app) as admin:
        assert await readiness(admin) == readyz


async def test_readiness_says_which_server_is_away(first: Backend, second: Backend, stop: asyncio.Event) -> None:
    second.is_there = False
    app = admin_application(Readiness(stop, needed={"broker": first.check}, useful={"cache": second.check}))
    async with serving_admin(app) as admin, admin.get("/readyz") as response:
        assert (await response.json())["checks"] == {"broker": "ok", "cache": "cache_unavailable"}


async def test_it_is_not_ready_once_it_is_told_to_stop(first: Backend, stop: asyncio.Event) -> None:
    async with serving_admin(admin_application(Readiness(stop, needed={"cache": first.check}))) as admin:
        stop.set()
        assert await readiness(admin) == (503, "unavailable")


async def test_it_lives_whatever_its_servers_do(first: Backend, stop: asyncio.Event) -> None:
    first.is_there = False
    stop.set()
    async with (
        serving_admin(admin_application(Readiness(stop, needed={"cache": first.check}))) as admin,
        admin.get("/healthz") as response,
    ):
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_a_watchdog_that_gave_up_is_named(stop: asyncio.Event) -> None:
    watchdogs = {"well": lambda: True, "stuck": lambda: False}
    async with (
        serving_admin(admin_application(Readiness(stop), watchdogs)) as admin,
        admin.get("/healthz") as response,
    ):
        assert (response.status, await response.json()) == (503, {"status": "failing", "failing": ["stuck"]})


async def test_it_exports_every_metric(stop: asyncio.Event) -> None:
    async with serving_admin(admin_application(Readiness(stop))) as admin, admin.get("/metrics") as response:
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
