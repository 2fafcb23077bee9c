"""A real browser, and services with the page that several tests share."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

from stack import replies
from stack.model_stub import ModelStub
from tests.deployment import Deployment, Place, Servers, Service

# Two runs side by side on a small machine may be slow.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

WITHOUT_BROWSER = "There is no chromium here; on Debian: apt-get install chromium fonts-liberation"


@pytest.fixture(scope="session", name="browser")
async def real_browser() -> AsyncIterator[Browser]:
    """Chromium without a window, as it is installed here."""
    chromium = shutil.which("chromium")
    if chromium is None:
        # Nobody may take a run without it for one that passed.
        if os.environ.get("CI"):
            pytest.fail(WITHOUT_BROWSER)
        pytest.skip(WITHOUT_BROWSER)
    async with async_playwright() as playwright:
        # Its sandbox is not for root.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A tab of its own; whatever it complains of, or asks of others than us, is an error."""
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A status of 400 and above is noted too, and some are meant.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def note_request(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:")):
            complaints.append(request.url)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", note_request)
    yield page
    await context.close()
    assert complaints == []


@pytest.fixture(scope="session")
async def shared_stub() -> AsyncIterator[ModelStub]:
    """The upstream of the shared services."""
    async with ModelStub() as running:
        yield running


@pytest.fixture(scope="session", name="shared_services")
async def services_with_page(
    servers: Servers, shared_stub: ModelStub, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Service, Service]]:
    """A gateway with the page, and its reader, with a worker beside them."""
    deployment = Deployment(Place.on(servers), shared_stub.base_url, tmp_path_factory.mktemp("browser"))
    deployment.worker()
    yield deployment.with_page()
    deployment.stop()


@pytest.fixture
def model(shared_stub: ModelStub) -> Iterator[ModelStub]:
    """The upstream of the shared services; it echoes again afterwards."""
    yield shared_stub
    shared_stub.respond = replies.echo()
