"""Branches in the browser: editing, answering again, switching, deleting; settings and ratings."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from tests.acceptance.browser.chat_page import ChatPage, fits
from tests.acceptance.browser.storyteller import BEGUN, MODEL


@pytest.fixture
async def chat(page: Page) -> ChatPage:
    chat = ChatPage(page)
    await chat.open()
    return chat


@pytest.fixture
async def tabs(chromium: Browser, stack: str) -> AsyncIterator[tuple[ChatPage, ChatPage]]:
    """Two tabs of one browser."""
    context = await chromium.new_context(base_url=stack, reduced_motion="reduce")
    yield ChatPage(await context.new_page()), ChatPage(await context.new_page())
    await context.close()


async def _say(chat: ChatPage, text: str, number: int) -> None:
    """Send a message and wait for the answer, the conversation's `number`-th."""
    await chat.send(text)
    await expect(chat.answers).to_have_count(number)
    await chat.ends("complete")


async def _do(message: Locator, name: str) -> None:
    """Press one of the buttons of a message."""
    await message.hover()
    await message.get_by_role("button", name=name, exact=True).click()


async def _edit(chat: ChatPage, message: Locator, text: str) -> None:
    await _do(message, "Edit message")
    box = chat.page.get_by_role("textbox", name="Edit your message")
    await expect(box).to_be_focused()
    await box.fill(text)
    await box.press("Enter")


def _versions(message: Locator) -> Locator:
    return message.get_by_role("group", name="Versions of this message")


async def test_an_edit_stands_beside_what_was_said(chat: ChatPage) -> None:
    await chat.register("edit@example.com")
    await _say(chat, "first version", 1)
    await _say(chat, "a follow-up", 2)

    await _edit(chat, chat.questions.first, "second version")

    await expect(chat.questions).to_have_count(1)
    await expect(await chat.ends("complete")).to_contain_text("second version")
    await expect(_versions(chat.questions.first)).to_contain_text("2/2")

    await _do(chat.questions.first, "Previous version")
    await expect(chat.questions).to_have_count(2)
    await expect(chat.questions.first).to_contain_text("first version")
    await expect(chat.answers.first).to_contain_text("first version")
    # Whoever steps through the versions by keyboard stays where they are.
    await expect(
        chat.questions.first.get_by_role("button", name="Previous version")
    ).to_be_focused()

    await chat.page.reload()
    await expect(chat.questions).to_have_count(2)
    await expect(_versions(chat.questions.first)).to_contain_text("1/2")
    await _do(chat.questions.first, "Next version")
    await expect(chat.questions).to_have_count(1)
    await expect(chat.answers).to_contain_text("second version")
    # What comes next continues what is seen.
    await _say(chat, "and on", 2)
    await chat.page.reload()
    await expect(chat.questions).to_have_count(2)
    await expect(chat.questions.first).to_contain_text("second version")


async def test_an_edit_keeps_the_files(chat: ChatPage) -> None:
    await chat.register("files@example.org")
    await chat.attach({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"a note"})
    await expect(chat.attached).to_have_count(1)
    await _say(chat, "What is this?", 1)

    await _edit(chat, chat.questions.first, "And this?")

    await expect(await chat.ends("complete")).to_contain_text("And this?")
    await expect(_versions(chat.questions.first)).to_contain_text("2/2")
    file = chat.questions.first.get_by_role("link", name="Download notes.txt")
    await expect(file).to_be_visible()
    await chat.page.reload()
    await expect(file).to_be_visible()
    await _do(chat.questions.first, "Previous version")
    await expect(chat.questions.first).to_contain_text("What is this?")
    await expect(file).to_be_visible()


async def test_an_edit_is_left_by_escape(chat: ChatPage) -> None:
    await _say(chat, "as it was", 1)
    await _do(chat.questions.first, "Edit message")
    box = chat.page.get_by_role("textbox", name="Edit your message")
    await box.fill("never sent")
    await box.press("Escape")

    await expect(box).to_have_count(0)
    await expect(chat.questions).to_have_text(["as it was"])
    await expect(chat.questions.get_by_role("button", name="Edit message")).to_be_focused()


async def test_another_model_answers_beside_the_first(chat: ChatPage) -> None:
    await chat.register("again@example.com")
    await _say(chat, "Who are you?", 1)

    await _do(chat.answers.last, "Regenerate with another model")
    search = chat.page.get_by_role("combobox", name="Search models")
    await search.fill("scripted/settings")
    await search.press("Enter")

    answer = await chat.ends("complete")
    await expect(answer).to_contain_text("System prompt: none")
    await expect(answer).to_contain_text(re.compile(r"settings · \d+ in"))
    await expect(_versions(answer)).to_contain_text("2/2")
    await expect(chat.page.get_by_role("button", name="Model: settings")).to_be_visible()

    await _do(answer, "Regenerate")
    await expect(_versions(chat.answers.last)).to_contain_text("3/3")
    await chat.ends("complete")
    await _do(chat.answers.last, "Previous version")
    await expect(_versions(chat.answers.last)).to_contain_text("2/3")
    await _do(chat.answers.last, "Previous version")
    await expect(chat.answers.last).to_contain_text("Who are you?")

    await chat.page.reload()
    await expect(chat.answers.last).to_contain_text("Who are you?")
    await expect(_versions(chat.answers.last)).to_contain_text("1/3")


async def test_a_branch_is_deleted_after_asking_once(chat: ChatPage) -> None:
    await chat.register("delete@example.com")
    await _say(chat, "keep me", 1)
    await _edit(chat, chat.questions.first, "drop me")
    await expect(_versions(chat.questions.first)).to_contain_text("2/2")
    await chat.ends("complete")
    await _say(chat, "and me", 2)

    await _do(chat.questions.first, "Delete message")
    dialog = chat.page.get_by_role("alertdialog")
    await expect(dialog).to_contain_text("It and the 3 messages below it are deleted for good.")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(chat.questions).to_have_count(2)

    await _do(chat.questions.first, "Delete message")
    await dialog.get_by_role("button", name="Delete", exact=True).click()

    await expect(dialog).to_be_hidden()
    await expect(chat.questions).to_have_text(["keep me"])
    await chat.page.reload()
    await expect(chat.questions).to_have_text(["keep me"])
    await expect(chat.answers).to_have_count(1)

    await _do(chat.answers.last, "Delete message")
    await expect(dialog).to_contain_text("It is deleted for good.")
    await dialog.get_by_role("button", name="Delete", exact=True).click()
    await expect(chat.page.get_by_text("There is no answer to this message.")).to_be_visible()
    await chat.page.get_by_role("button", name="Retry").click()
    await expect(await chat.ends("complete")).to_contain_text("keep me")


async def test_a_guest_holds_one_branch(chat: ChatPage) -> None:
    await _say(chat, "first version", 1)
    await _say(chat, "a follow-up", 2)
    await expect(chat.answers.first.get_by_role("button", name="Regenerate")).to_have_count(0)

    await _do(chat.questions.first, "Edit message")
    await expect(chat.page.get_by_text("What follows this message is replaced.")).to_be_visible()
    box = chat.page.get_by_role("textbox", name="Edit your message")
    await box.fill("second version")
    await box.press("Enter")

    await expect(chat.questions).to_have_text(["second version"])
    await chat.ends("complete")
    await chat.page.reload()
    await expect(chat.questions).to_have_text(["second version"])
    await expect(chat.answers).to_contain_text("second version")
    await expect(chat.page.get_by_role("button", name="Good answer")).to_have_count(0)


async def test_settings_survive_a_reload_and_reach_the_model(
    chat: ChatPage, console_errors: list[str]
) -> None:
    await chat.register("settings@example.com")
    await chat.choose("settings")
    await _say(chat, "How are you asked?", 1)
    await expect(chat.answers.last).to_contain_text("Temperature: the model's")
    button = chat.page.get_by_role("button", name="Settings of this conversation")
    sheet = chat.page.get_by_role("dialog")

    await button.click()
    await sheet.get_by_label("System prompt").fill("Answer like a miller.")
    await sheet.get_by_label("Temperature").fill("3")
    await sheet.get_by_label("Longest answer").fill("many")
    await sheet.get_by_label("Reasoning effort").select_option("High")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_role("alert")).to_have_count(2)
    await expect(sheet.get_by_label("Temperature")).to_have_attribute("aria-invalid", "true")
    await expect(sheet.get_by_label("Longest answer")).to_have_attribute("aria-invalid", "true")
    assert "422" in console_errors.pop()

    await sheet.get_by_label("Temperature").fill("0.5")
    await sheet.get_by_label("Longest answer").fill("321")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet).to_be_hidden()
    await chat.page.reload()

    await button.click()
    await expect(sheet.get_by_label("System prompt")).to_have_value("Answer like a miller.")
    await expect(sheet.get_by_label("Temperature")).to_have_value("0.5")
    await expect(sheet.get_by_label("Longest answer")).to_have_value("321")
    await expect(sheet.get_by_label("Reasoning effort")).to_have_value("high")
    await chat.page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(button).to_be_focused()
    await expect(chat.page.get_by_role("button", name="Reasoning effort:")).to_have_text("High")

    await _say(chat, "And now?", 2)
    for line in (
        "System prompt: Answer like a miller.",
        "Temperature: 0.5",
        "Longest answer: 321 tokens",
        "Reasoning effort: high",
    ):
        await expect(chat.answers.last).to_contain_text(line)


@pytest.mark.parametrize("who", ["guest", "user"])
async def test_two_tabs_see_one_run_and_stop_it_once(
    tabs: tuple[ChatPage, ChatPage], who: str
) -> None:
    first, second = tabs
    await first.open()
    if who == "user":
        await first.register("tabs@example.com")
    await _say(first, "to begin with", 1)
    await second.open(first.page.url)
    await expect(second.answers).to_have_count(1)

    await first.choose(MODEL)
    await first.send("Tell us both.")

    # The other tab learns of it by itself, and reads along.
    await expect(second.answers).to_have_count(2)
    await expect(second.answers.last).to_have_attribute("data-status", "streaming")
    await expect(second.answers.last).to_contain_text(BEGUN)
    await expect(first.answers.last).to_contain_text(BEGUN)
    await second.page.get_by_role("button", name="Stop", exact=True).click()

    for tab in tabs:
        await tab.ends("cancelled")
    kept = await second.answers.last.locator(".markdown").text_content()
    await expect(first.answers.last.locator(".markdown")).to_have_text(kept or "")

    await second.choose("echo")
    await _edit(second, second.questions.last, "Something else")
    await expect(first.questions.last).to_contain_text("Something else")
    await expect(await first.ends("complete")).to_contain_text("Something else")
    await expect(_versions(first.questions.last)).to_have_count(1 if who == "user" else 0)


async def test_a_rating_survives_a_reload(chat: ChatPage) -> None:
    await chat.register("rating@example.com")
    await _say(chat, "Rate this.", 1)
    answer = chat.answers.last
    good, bad = (answer.get_by_role("button", name=f"{name} answer") for name in ("Good", "Bad"))

    async with chat.page.expect_response("**/feedback"):
        await good.click()
    await answer.get_by_role("button", name="Add a note").click()
    note = chat.page.get_by_label("What was good or bad about it?")
    await note.fill("It says what I said.")
    async with chat.page.expect_response("**/feedback"):
        await chat.page.get_by_role("button", name="Save note").click()

    await chat.page.reload()
    await expect(good).to_have_attribute("aria-pressed", "true")
    await expect(bad).to_have_attribute("aria-pressed", "false")
    await answer.get_by_role("button", name="Change the note").click()
    await expect(note).to_have_value("It says what I said.")
    await chat.page.keyboard.press("Escape")

    async with chat.page.expect_response("**/feedback"):
        await good.click()
    await chat.page.reload()
    await expect(good).to_have_attribute("aria-pressed", "false")
    await expect(answer.get_by_role("button", name="note")).to_have_count(0)


async def test_an_address_leads_to_a_message_of_another_branch(chat: ChatPage) -> None:
    await chat.register("hash@example.com")
    await _say(chat, "one word", 1)
    await _say(chat, "long\n" * 60, 2)
    sought = await chat.questions.first.get_attribute("id")
    await _edit(chat, chat.questions.first, "another word")
    await expect(chat.questions).to_have_count(1)
    await chat.ends("complete")

    address = chat.page.url
    await chat.page.goto("/numbers")
    await chat.page.goto(f"{address}#{sought}")

    await expect(chat.questions).to_have_count(2)
    await expect(chat.questions.first).to_contain_text("one word")
    await expect(chat.questions.first).to_be_in_viewport()


async def test_a_limit_is_counted_down_and_the_message_kept(
    chat: ChatPage, console_errors: list[str]
) -> None:
    await chat.register("limit@example.org")
    await _say(chat, "before", 1)

    async def refuse(route: Route) -> None:
        await route.fulfill(
            status=429,
            headers={"content-type": "application/problem+json", "retry-after": "3600"},
            body='{"title": "Quota reached", "status": 429, "detail": "Your tokens are used up."}',
        )

    await chat.page.route("**/api/chat", refuse)
    # The hour is waited for in no time.
    await chat.page.clock.install()
    await chat.send("too much")

    notice = chat.page.get_by_role("alert")
    await expect(notice).to_contain_text("Your tokens are used up. This is your own quota")
    await expect(notice.get_by_role("timer")).to_contain_text("You can try again in")
    await expect(chat.composer).to_have_value("too much")
    await chat.page.clock.fast_forward("01:00:00")
    await expect(notice.get_by_role("timer")).to_have_text("You can try again now.")
    assert "429" in console_errors.pop()

    await chat.page.unroute("**/api/chat")
    await chat.composer.press("Enter")
    await expect(chat.answers).to_have_count(2)
    await chat.ends("complete")


async def test_messages_and_settings_fit_a_small_screen(chat: ChatPage) -> None:
    await chat.register("small-tree@example.com")
    await chat.page.set_viewport_size({"width": 360, "height": 700})
    await _say(chat, "small", 1)
    await _edit(chat, chat.questions.first, "smaller")
    await expect(_versions(chat.questions.first)).to_contain_text("2/2")
    await chat.ends("complete")
    await _do(chat.answers.last, "Good answer")

    page = chat.page.locator("html")
    await fits(page)
    await chat.page.get_by_role("button", name="Settings of this conversation").click()
    await expect(chat.page.get_by_label("System prompt")).to_be_visible()
    await fits(page)
