"""The page in a real browser: what a person types, sees and presses."""

import asyncio
import re

from playwright.async_api import Page, expect

from stack import replies
from stack.model_stub import ModelStub
from tests.browser.ingress import Ingress
from tests.deployment import Deployment, Service

Services = tuple[Service, Service]
STORY = "Once upon a time, far away, there was <b>a queue</b> & 大吉大利. " * 6


async def ask(page: Page, question: str) -> None:
    await page.get_by_label("Your question").fill(question)
    await page.get_by_role("button", name="Ask").click()


async def test_the_text_arrives_as_it_is_written(page: Page, shared_services: Services, model: ModelStub) -> None:
    model.respond = replies.text(STORY, pause=0.05)
    await page.goto(str(shared_services[0].url))

    await ask(page, "Tell me\na story")
    text = page.locator(".text")
    await expect(text).to_contain_text("Once upon")
    early = await text.inner_text()
    await expect(page.locator(".words")).to_have_text("Writing")
    await expect(page.locator(".words")).to_have_text("Answered")

    assert len(early) < len(STORY)
    # As it was written: no mark-up in it is taken for such.
    await expect(text).to_have_text(STORY, use_inner_text=False)
    await expect(page.locator(".question")).to_have_text("Tell me\na story")
    await expect(page.locator(".seconds")).to_have_text(re.compile(r"^\d+ s$"))
    await expect(page.locator(".answer")).to_have_attribute("aria-busy", "false")
    assert model.calls[-1].prompt == "Tell me\na story"


async def test_enter_sends_and_what_waits_says_so(page: Page, shared_services: Services, model: ModelStub) -> None:
    gate = asyncio.Event()
    model.respond = replies.after(gate, replies.echo())
    await page.goto(str(shared_services[0].url))

    await page.get_by_label("Your question").press_sequentially("Hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text(re.compile("Waiting|Writing"))
    await expect(page.get_by_role("button", name="Ask")).to_be_disabled()
    await expect(page.locator(".seconds")).to_have_text("1 s")
    gate.set()

    await expect(page.locator(".text")).to_have_text("You said: Hello")
    await expect(page.get_by_role("button", name="Ask")).to_be_enabled()


async def test_a_fortune(page: Page, shared_services: Services, model: ModelStub) -> None:
    model.respond = replies.text("大吉大利")
    await page.goto(str(shared_services[0].url))

    await page.get_by_text("Fortune", exact=True).click()
    await expect(page.get_by_label("Your question")).to_be_hidden()
    await page.get_by_label("Name").fill("小明")
    await page.get_by_label("Gender").select_option("male")
    await page.get_by_label("Date of birth").fill("1990-01-31")
    await page.get_by_label("Time").fill("08:30")
    await page.get_by_role("button", name="Ask").click()

    await expect(page.locator(".text")).to_have_text("大吉大利")
    prompt = str(model.calls[-1].messages)
    assert "小明" in prompt
    assert "水瓶座" in prompt


async def test_a_birth_that_is_none_is_told_in_words(page: Page, shared_services: Services) -> None:
    await page.goto(str(shared_services[0].url))

    await page.get_by_text("Fortune", exact=True).click()
    await page.get_by_label("Gender").select_option("female")
    await page.get_by_label("Date of birth").fill("2999-01-31")
    await page.get_by_role("button", name="Ask").click()

    await expect(page.get_by_role("alert")).to_contain_text("inputs.birth")
    await expect(page.get_by_label("Date of birth")).to_have_value("2999-01-31")
    await expect(page.locator(".turn")).to_have_count(0)


async def test_a_job_that_fails_says_why(page: Page, shared_services: Services, model: ModelStub) -> None:
    model.respond = replies.status(400)
    await page.goto(str(shared_services[0].url))

    await ask(page, "Hello")

    await expect(page.locator(".words")).to_have_text("Failed")
    await expect(page.get_by_role("alert")).to_have_text("The model refused the request.")
    await expect(page.get_by_role("button", name="Ask")).to_be_enabled()


async def test_an_attempt_that_breaks_off_is_told(page: Page, shared_services: Services, model: ModelStub) -> None:
    async def broken(call: replies.Call) -> replies.Reply:
        return replies.Reply(body=replies.completion(call, "old " * 100), reset_after=4000, pause=0.02)

    model.respond = replies.in_turn(broken, replies.text(STORY, pause=0.1))
    await page.goto(str(shared_services[0].url))

    await ask(page, "Hello")

    await expect(page.locator(".text")).to_contain_text("old old")
    await expect(page.locator(".words")).to_have_text("Writing, attempt 2")
    await expect(page.locator(".note")).to_contain_text("broke off")
    await expect(page.locator(".words")).to_have_text("Answered")
    await expect(page.locator(".text")).to_have_text(STORY)
    await expect(page.locator(".note")).to_be_hidden()


async def test_a_reload_goes_on(page: Page, shared_services: Services, model: ModelStub) -> None:
    model.respond = replies.text(STORY, pause=0.1)
    await page.goto(str(shared_services[0].url))

    await ask(page, "Tell me a story")
    await expect(page.locator(".text")).to_contain_text("Once upon")
    await page.reload()

    await expect(page.locator(".question")).to_have_text("Tell me a story")
    await expect(page.locator(".text")).to_have_text(STORY)
    await page.reload()
    await expect(page.locator(".text")).to_have_text(STORY)
    await page.get_by_role("button", name="New conversation").click()
    await page.reload()
    await expect(page.locator(".turn")).to_have_count(0)


async def test_a_reader_that_is_restarted_is_waited_for(page: Page, deployment: Deployment, stub: ModelStub) -> None:
    stub.respond = replies.text(STORY, pause=0.2)
    deployment.worker()
    gateway, reader = deployment.with_page()
    await page.goto(str(gateway.url))

    await ask(page, "Tell me a story")
    await expect(page.locator(".text")).to_contain_text("Once upon")
    reader.process.kill()
    await expect(page.locator(".note")).to_contain_text("Trying again.")
    await asyncio.to_thread(reader.process.start)

    await expect(page.locator(".text")).to_have_text(STORY)
    await expect(page.locator(".note")).to_be_hidden()


async def test_behind_an_ingress_there_is_one_address(page: Page, deployment: Deployment, stub: ModelStub) -> None:
    stub.respond = replies.text(STORY, pause=0.05)
    deployment.worker()
    gateway, reader = deployment.gateway(PLAYGROUND="true"), deployment.reader()
    for streams in (True, False):
        async with Ingress(gateway, reader, streams=streams) as ingress:
            await page.goto(ingress.url)
            await ask(page, "Tell me a story")
            await expect(page.locator(".text")).to_have_text(STORY)

            ways = {path.rpartition("/")[2] for path in ingress.asked}
            assert ("events" in ways) is not streams
            await page.goto("about:blank")


async def test_a_key_is_asked_for_and_kept_in_the_tab(page: Page, deployment: Deployment) -> None:
    deployment.worker()
    gateway, _ = deployment.with_page(API_KEYS="alice:a-key-of-alice-0123")
    await page.goto(str(gateway.url))

    await ask(page, "Hello")
    await expect(page.get_by_role("alert")).to_contain_text("A valid API key is needed")
    await expect(page.get_by_label("API key")).to_be_focused()
    await page.get_by_label("API key").fill("a-key-of-alice-0123")
    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator(".text")).to_have_text("You said: Hello")
    await page.reload()
    await expect(page.locator(".text")).to_have_text("You said: Hello")
    await expect(page.get_by_label("API key")).to_have_value("a-key-of-alice-0123")

    other_tab = await page.context.new_page()
    await other_tab.goto(str(gateway.url))
    await expect(other_tab.get_by_label("API key")).to_have_value("")


async def test_it_fits_a_phone(page: Page, shared_services: Services) -> None:
    async def fits() -> bool:
        width: bool = await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        return width

    await page.set_viewport_size({"width": 340, "height": 700})
    await page.goto(str(shared_services[0].url))

    await page.get_by_text("Fortune", exact=True).click()
    assert await fits()
    await page.get_by_text("Question", exact=True).click()
    await ask(page, "w" * 300)
    await expect(page.locator(".words")).to_have_text("Answered")
    assert await fits()
