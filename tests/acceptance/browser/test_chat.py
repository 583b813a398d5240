"""Chatting in the browser: answers stream, survive reloads and lost connections, and can stop."""

import asyncio
import hashlib
import re

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.browser.cable import Cable
from tests.acceptance.browser.chat_page import ChatPage, fits
from tests.acceptance.browser.conftest import GUEST_LIMIT
from tests.acceptance.browser.storyteller import BEGUN, MILES, MODEL, Storyteller

# How each of the paragraphs begins that a story goes on with.
_MILE = re.compile(r"^Mile \d: ")


@pytest.fixture
async def chat(page: Page) -> ChatPage:
    chat = ChatPage(page)
    await chat.open()
    return chat


@pytest.fixture
async def second_chat(second_page: Page) -> ChatPage:
    chat = ChatPage(second_page)
    await chat.open()
    return chat


async def test_a_guest_sees_the_answer(chat: ChatPage) -> None:
    await chat.send("All that is **said**, is said again.")

    answer = await chat.ends("complete")
    await expect(answer).to_contain_text("All that is said, is said again.")
    await expect(answer.locator("[data-streamdown=strong]")).to_have_text("said")
    await expect(answer).to_contain_text(re.compile(r"echo · \d+ in · \d+ out · first chunk"))
    await expect(chat.page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}$"))
    await expect(chat.sidebar.get_by_role("link")).to_have_count(1)
    await expect(chat.page).to_have_title("All that is **said**, is said again. · Tailrace")
    await expect(chat.composer).to_be_focused()


async def test_a_request_tells_the_digest_of_its_body(chat: ChatPage) -> None:
    """CloudFront signs it on to a function URL, which refuses what has none."""
    async with chat.page.expect_request("**/api/chat") as asked:
        await chat.send("Ünïcödé")
    request = await asked.value
    assert request.post_data_buffer is not None
    digest = hashlib.sha256(request.post_data_buffer).hexdigest()
    assert request.headers["x-amz-content-sha256"] == digest
    await chat.ends("complete")


async def test_a_conversation_goes_on(chat: ChatPage) -> None:
    await chat.send("first")
    await chat.ends("complete")
    await chat.send("second")

    await expect(chat.answers).to_have_count(2)
    await expect(await chat.ends("complete")).to_contain_text("second")
    await expect(chat.questions).to_have_text(["first", "second"])


async def test_shift_enter_breaks_the_line(chat: ChatPage) -> None:
    await expect(chat.page.get_by_role("button", name="Send")).to_be_disabled()
    await chat.composer.press_sequentially("one")
    await chat.composer.press("Shift+Enter")
    await chat.composer.press_sequentially("two")
    await chat.composer.press("Enter")

    await expect(chat.questions).to_have_text(["one\ntwo"])
    await chat.ends("complete")


async def test_thoughts_are_there_to_be_opened(chat: ChatPage) -> None:
    await chat.choose("reasoning")
    await chat.send("What is the answer?")

    answer = await chat.ends("complete")
    await expect(answer).to_contain_text("Forty-two.")
    await expect(answer).not_to_contain_text("The question is short")
    await answer.get_by_role("button", name="Thoughts").click()
    await expect(answer).to_contain_text("The question is short")


async def test_an_answer_survives_a_reload(
    chat: ChatPage, second_chat: ChatPage, story: Storyteller
) -> None:
    async def reload_in_mid_answer(chat: ChatPage, question: str) -> None:
        await chat.choose(MODEL)
        await chat.send(question)
        await expect(chat.answers).to_contain_text(BEGUN)

        await chat.page.reload()

        await expect(chat.answers).to_have_attribute("data-status", "streaming")
        await expect(chat.answers).to_contain_text(BEGUN)
        story.tell(question, *MILES)
        story.end(question)
        answer = await chat.ends("complete")
        await expect(answer.get_by_text(_MILE)).to_have_count(8)
        await expect(answer.get_by_text("How a tailrace works")).to_have_count(1)
        await expect(chat.questions).to_have_count(1)
        await expect(chat.answers).to_have_count(1)

    await chat.register("reload@example.com")
    # A guest's answer is found by what the browser holds, a user's by what the server does.
    await asyncio.gather(
        reload_in_mid_answer(chat, "Tell a user."),
        reload_in_mid_answer(second_chat, "Tell a guest."),
    )


async def test_an_answer_survives_a_lost_connection(
    page: Page, cable: Cable, story: Storyteller
) -> None:
    chat = ChatPage(page)
    await chat.open(cable.address)
    await chat.choose(MODEL)
    await chat.send("Tell me all.")
    await expect(chat.answers).to_contain_text(BEGUN)

    cable.pull()
    await expect(page.get_by_text("Reconnecting")).to_be_visible()
    story.tell("Tell me all.", *MILES[:4])
    cable.plug_in()
    await expect(chat.answers).to_contain_text("Mile 4")
    story.tell("Tell me all.", *MILES[4:])
    story.end("Tell me all.")

    answer = await chat.ends("complete")
    await expect(page.get_by_text("Reconnecting")).to_be_hidden()
    await expect(answer.get_by_text(_MILE)).to_have_count(8)
    await expect(answer.get_by_text("How a tailrace works")).to_have_count(1)


@pytest.mark.parametrize("who", ["guest", "user"])
async def test_stop_keeps_what_has_arrived(chat: ChatPage, who: str) -> None:
    if who == "user":
        await chat.register("stop@example.com")
    await chat.choose(MODEL)
    await chat.send("Tell me something.")
    await expect(chat.answers).to_contain_text(BEGUN)

    await chat.page.get_by_role("button", name="Stop", exact=True).click()

    answer = await chat.ends("cancelled")
    await expect(answer.get_by_text("Stopped", exact=True)).to_be_visible()
    kept = await answer.locator(".markdown").inner_text()

    await chat.page.reload()
    answer = await chat.ends("cancelled")
    await expect(answer.get_by_text("Stopped", exact=True)).to_be_visible()
    await expect(answer.locator(".markdown")).to_have_text(kept, use_inner_text=True)


@pytest.mark.parametrize("who", ["guest", "user"])
async def test_a_failed_answer_can_be_asked_again(chat: ChatPage, who: str) -> None:
    if who == "user":
        await chat.register("retry@example.com")
    await chat.choose("error")
    await chat.send("What now?")

    answer = await chat.ends("error")
    await expect(answer.get_by_role("alert")).to_have_text(re.compile(r"^[A-Z].+\.\s*Retry$"))

    await chat.choose("echo")
    await answer.get_by_role("button", name="Retry").click()
    await expect(await chat.ends("complete")).to_contain_text("What now?")
    await expect(chat.questions).to_have_count(1)
    await expect(chat.answers).to_have_count(1)


async def test_an_answer_that_breaks_keeps_its_beginning(chat: ChatPage) -> None:
    await chat.choose("broken")
    await chat.send("Go on.")

    answer = await chat.ends("error")
    await expect(answer).to_contain_text("This answer ends before")
    await expect(answer.get_by_role("button", name="Retry")).to_be_visible()


async def test_a_message_that_is_refused_stays_in_the_composer(
    chat: ChatPage, console_errors: list[str]
) -> None:
    for number in range(1, GUEST_LIMIT + 1):
        await chat.send(f"message {number}")
        await expect(chat.answers).to_have_count(number)
        await chat.ends("complete")
    await expect(chat.page.get_by_text("No messages left as a guest")).to_be_visible()

    await chat.send("one too many")

    refusal = chat.page.get_by_role("alert")
    await expect(refusal).to_contain_text("Sign in")
    await expect(chat.composer).to_have_value("one too many")
    await expect(chat.questions).to_have_count(GUEST_LIMIT)
    await chat.register("limit@example.com")
    await expect(chat.composer).to_have_value("one too many")
    await chat.composer.press("Enter")
    await expect(await chat.ends("complete")).to_contain_text("one too many")
    assert "429" in console_errors.pop()


async def test_an_answer_goes_on_while_another_conversation_is_open(
    chat: ChatPage, story: Storyteller
) -> None:
    await chat.choose(MODEL)
    await chat.send("Tell me meanwhile.")
    await expect(chat.answers).to_contain_text(BEGUN)
    link = await chat.link()
    await chat.page.get_by_role("link", name="New chat").click()
    await expect(chat.answers).to_have_count(0)
    await chat.choose("echo")
    await chat.send("meanwhile")
    await expect(await chat.ends("complete")).to_contain_text("meanwhile")

    story.tell("Tell me meanwhile.", *MILES[:1])

    await link.click()

    await expect(chat.answers).to_have_attribute("data-status", "streaming")
    await expect(chat.answers).to_contain_text("Mile 1")
    await expect(chat.answers).to_have_count(1)
    story.end("Tell me meanwhile.")
    await chat.ends("complete")


async def test_scrolling_up_is_not_fought(chat: ChatPage, story: Storyteller) -> None:
    await chat.page.set_viewport_size({"width": 800, "height": 480})
    await chat.choose(MODEL)
    await chat.send("Tell me at length.")
    await expect(chat.answers).to_contain_text(BEGUN)
    await expect(chat.questions).not_to_be_in_viewport()

    await chat.answers.hover()
    await chat.page.mouse.wheel(0, -4_000)
    await expect(chat.questions).to_be_in_viewport()
    story.tell("Tell me at length.", *MILES[:4])
    await expect(chat.answers).to_contain_text("Mile 4")
    await expect(chat.questions).to_be_in_viewport()

    await chat.page.get_by_role("button", name="Scroll to the end").click()
    await expect(chat.questions).not_to_be_in_viewport()
    story.tell("Tell me at length.", *MILES[4:])
    story.end("Tell me at length.")
    answer = await chat.ends("complete")
    await expect(answer.get_by_text("first chunk")).to_be_in_viewport()


async def test_the_page_fits_a_small_screen(chat: ChatPage) -> None:
    await chat.page.set_viewport_size({"width": 360, "height": 700})
    await chat.send("a" * 200 + "\n\n```python\nprint(" + "1 + " * 60 + "1)\n```")
    await chat.ends("complete")

    await fits(chat.page.locator("html"))
    await chat.page.get_by_role("button", name="Open the menu").click()
    await expect(
        chat.page.get_by_role("dialog").get_by_role("link", name="Numbers")
    ).to_be_visible()
