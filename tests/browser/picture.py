"""Draws docs/playground.png, the page in use against the running services: `make playground-picture`."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from stack import replies
from stack.model_stub import ModelStub
from stack.program import ROOT
from tests.deployment import Deployment, Place, Servers

expect.set_options(timeout=30_000)

PICTURE = ROOT / "docs" / "playground.png"
SIZE: ViewportSize = {"width": 820, "height": 560}
FIRST = (
    "Sunlight holds all colours. On its way through the air the short waves, which are blue, are scattered in all "
    "directions far more than the long ones, so that blue reaches your eye from everywhere in the sky."
)
SECOND = (
    "Because the light then comes from low down, and its way through the air is long: most of the blue has been "
    "scattered out of it before it reaches you, and red and orange are what is left. Dust and moisture add to it, "
    "which is why no two evenings look the same."
)


async def main(picture: Path) -> None:
    with tempfile.TemporaryDirectory() as home, Servers.running(Path(home)) as servers:
        async with ModelStub() as stub, async_playwright() as playwright:
            deployment = Deployment(Place.on(servers), stub.base_url, Path(home))
            try:
                deployment.worker()
                gateway, _ = deployment.with_page()
                arguments = ["--no-sandbox"] if os.getuid() == 0 else []
                browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
                page = await browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
                await page.goto(str(gateway.url))
                await _talk(page, stub)
                await page.screenshot(path=picture, full_page=True)
                await browser.close()
            finally:
                deployment.stop()


async def _talk(page: Page, stub: ModelStub) -> None:
    """A question that is answered, and a second one whose answer is just being written."""
    stub.respond = replies.text(FIRST, pause=0.05)
    await page.get_by_label("Your question").fill("Why is the sky blue?")
    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator(".words").first).to_have_text("Answered")
    stub.respond = replies.text(SECOND, pause=0.3)
    await page.get_by_label("Your follow-up question").fill("And why is it red in the evening?")
    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator(".text").last).to_contain_text("the blue has been")


if __name__ == "__main__":
    asyncio.run(main(PICTURE))
