"""Accounts in the browser: registering, signing in and out, and whose conversations are shown."""

import re

from playwright.async_api import Page, expect

from tests.acceptance.browser.chat_page import PASSWORD, ChatPage


async def test_a_user_finds_the_conversation_again(page: Page) -> None:
    chat = ChatPage(page)
    await chat.open()
    await chat.register("ada@example.com")
    await chat.send("Remember this.")
    await chat.ends("complete")
    await expect(page).to_have_url(re.compile(r"/c/"))

    await page.reload()
    await expect(chat.questions).to_have_text(["Remember this."])
    await expect(await chat.ends("complete")).to_contain_text("Remember this.")

    link = await chat.link()
    await chat.open("/")
    await expect(chat.answers).to_have_count(0)
    await link.click()
    await expect(chat.answers).to_have_count(1)


async def test_conversations_are_shown_to_their_owner_alone(page: Page) -> None:
    chat = ChatPage(page)
    await chat.open()
    await chat.send("said as a guest")
    await chat.ends("complete")
    await chat.register("grace@example.com")
    # What was said here comes along, and is the user's from now on.
    await expect(chat.questions).to_have_text(["said as a guest"])
    await page.get_by_role("link", name="New chat").click()
    await chat.send("said as a user")
    await chat.ends("complete")
    link, address = await chat.link(), page.url
    await expect(link).to_be_visible()

    await page.get_by_role("button", name="Account and theme").click()
    await page.get_by_role("menuitem", name="Sign out").click()

    await expect(chat.sidebar.get_by_role("link")).to_have_count(0)
    await expect(link).to_have_count(0)
    await expect(page).to_have_url("/")

    await page.get_by_role("button", name="Sign in").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Email").fill("grace@example.com")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog).to_be_hidden()
    await page.goto(address)
    await expect(chat.questions).to_have_text(["said as a user"])


async def test_somebody_elses_conversation_is_not_there(
    page: Page, console_errors: list[str]
) -> None:
    chat = ChatPage(page)
    await chat.open()
    await chat.register("eve@example.com")

    await page.goto("/c/01900000-0000-7000-8000-000000000000")

    await expect(page.get_by_text("There is no such conversation here")).to_be_visible()
    assert "404" in console_errors.pop()


async def test_what_is_wrong_stands_at_its_field(page: Page, console_errors: list[str]) -> None:
    chat = ChatPage(page)
    await chat.open()
    await page.get_by_role("button", name="Sign in").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("tab", name="Register").click()
    await dialog.get_by_label("Email").fill("nobody")
    await dialog.get_by_label("Password").fill("short")
    await dialog.get_by_role("button", name="Create account").click()

    await expect(dialog.get_by_label("Email")).to_have_attribute("aria-invalid", "true")
    await expect(dialog.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    await expect(dialog.get_by_role("alert")).to_have_count(2)

    await dialog.get_by_role("tab", name="Sign in").click()
    await dialog.get_by_label("Email").fill("nobody@example.com")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog.get_by_role("alert")).to_have_count(1)

    assert ["422" in error or "401" in error for error in console_errors] == [True, True]
    console_errors.clear()
