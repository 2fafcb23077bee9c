"""What a person does with a job that is there: cancel it, follow up, delete it."""

import re

from playwright.async_api import Page, expect

from stack import replies
from stack.model_stub import ModelStub
from tests.browser.test_page import STORY, Services, ask
from tests.deployment import Deployment
from tests.waiting import eventually


async def test_a_follow_up_goes_on_with_the_conversation(
    page: Page, shared_services: Services, model: ModelStub
) -> None:
    await page.goto(str(shared_services[0].url))
    await ask(page, "Why is the sky blue?")
    await expect(page.locator(".text")).to_have_text("You said: Why is the sky blue?")

    await page.reload()  # the conversation is kept in the tab
    await page.get_by_label("Your follow-up question").fill("And at night?")
    await page.keyboard.press("Enter")

    await expect(page.locator(".text").last).to_have_text("You said: And at night?")
    said = [(message["role"], message["content"]) for message in model.calls[-1].messages]
    assert said == [
        ("user", "Why is the sky blue?"),
        ("assistant", "You said: Why is the sky blue?"),
        ("user", "And at night?"),
    ]
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_label("Your question")).to_be_visible()
    await expect(page.locator(".turn")).to_have_count(0)


async def test_what_is_being_written_can_be_cancelled(
    page: Page, shared_services: Services, model: ModelStub
) -> None:
    model.respond = replies.text(STORY, pause=0.5)
    await page.goto(str(shared_services[0].url))
    await ask(page, "Tell me a story")
    await expect(page.locator(".text")).to_contain_text("Once upon")

    await page.get_by_role("button", name="Cancel").click()

    await expect(page.locator(".words")).to_have_text("Cancelled")
    # What had been written stays readable, after a reload too.
    await expect(page.locator(".text")).to_contain_text("Once upon")
    await expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    await eventually(lambda: model.in_flight == 0)
    await page.reload()
    await expect(page.locator(".words")).to_have_text("Cancelled")
    await expect(page.locator(".text")).to_contain_text("Once upon")


async def test_what_waits_says_its_place_and_can_be_cancelled(page: Page, deployment: Deployment) -> None:
    gateway, _ = deployment.with_page()
    await page.goto(str(gateway.url))
    await ask(page, "Hello")
    await expect(page.locator(".words")).to_have_text(re.compile("^Waiting: next in line"))

    await page.get_by_role("button", name="Cancel").click()

    await expect(page.locator(".words")).to_have_text("Cancelled")
    await expect(page.locator(".text")).to_have_text("")


async def test_what_is_deleted_is_gone(page: Page, shared_services: Services) -> None:
    gateway, reader = shared_services
    await page.goto(str(gateway.url))
    await ask(page, "My secret")
    await expect(page.locator(".text")).to_have_text("You said: My secret")
    job_id = await page.evaluate("JSON.parse(sessionStorage.getItem('gpt-jobs.thread'))[0].id")

    await page.get_by_role("button", name="Delete").click()

    await expect(page.locator(".turn")).to_have_count(0)
    await expect(page.get_by_label("Your question")).to_be_visible()
    assert "My secret" not in await page.evaluate("JSON.stringify(sessionStorage)")
    answer = await page.request.get(str(reader.url.with_path(f"/v1/results/{job_id}")))
    assert (answer.status, (await answer.json())["error"]["code"]) == (410, "job_deleted")


async def test_a_job_that_was_deleted_elsewhere_says_so(page: Page, shared_services: Services) -> None:
    gateway, _ = shared_services
    await page.goto(str(gateway.url))
    await ask(page, "Hello")
    await expect(page.locator(".text")).to_have_text("You said: Hello")
    job_id = await page.evaluate("JSON.parse(sessionStorage.getItem('gpt-jobs.thread'))[0].id")
    await page.request.delete(str(gateway.url.with_path(f"/v1/jobs/{job_id}")))

    await page.reload()

    await expect(page.get_by_role("alert")).to_contain_text("deleted")
    await expect(page.locator(".text")).to_have_text("")
    await expect(page.get_by_role("button", name="Ask")).to_be_enabled()


async def test_a_full_queue_is_told_in_words_and_the_question_kept(page: Page, deployment: Deployment) -> None:
    gateway, _ = deployment.with_page(MAX_QUEUE_DEPTH="1")
    first = await page.request.post(str(gateway.url.with_path("/v1/jobs")), data={"msg": "first"})
    assert first.status == 202
    await page.goto(str(gateway.url))

    await ask(page, "second")

    await expect(page.get_by_role("alert")).to_have_text(re.compile(r"the queue is full.* Try again in \d+ s"))
    await expect(page.get_by_label("Your question")).to_have_value("second")
    await expect(page.get_by_role("button", name="Ask")).to_be_enabled()
