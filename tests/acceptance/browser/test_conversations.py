"""Conversations in the browser: arranged, searched, shared, taken out and in again."""

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Download, FilePayload, Locator, Page, Route, expect

from tests.acceptance.browser.chat_page import ChatPage

_NOTES = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"Of wheels.")
# Six by six pixels.
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAYAAAAGCAIAAABvrngfAAAAEUlEQVR4nGNwOLABDTHQVggAeDU8wcqaKCkAAAAA"
    "SUVORK5CYII="
)
_PICTURE = FilePayload(name="wheel.png", mimeType="image/png", buffer=_PNG)


class Sidebar:
    """The list of conversations, as a person goes about in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.navigation = page.get_by_role("navigation", name="Conversations")
        self.links = self.navigation.get_by_role("link")
        self.messages = page.get_by_role("status", name="Messages")

    def link(self, title: str) -> Locator:
        """The link to a conversation of this title."""
        return self.links.filter(has_text=title)

    def group(self, name: str) -> Locator:
        """The conversations under a heading."""
        return self.navigation.get_by_role("region", name=name)

    async def choose(self, title: str, act: str) -> None:
        """Choose something of a conversation's menu."""
        await self.link(title).hover()
        await self.navigation.get_by_role("button", name=f"Options of {title}").click()
        await self.page.get_by_role("menuitem", name=act, exact=True).click()

    async def show(self, name: str) -> None:
        """Choose which conversations are listed: a view, or a tag."""
        await self.navigation.get_by_role("button", name="Conversations shown:").click()
        await self.page.get_by_role("menuitemradio", name=name, exact=True).click()


@pytest.fixture
async def chat(page: Page) -> ChatPage:
    chat = ChatPage(page)
    await chat.open()
    return chat


def _conversation(title: str, messages: Sequence[dict[str, Any]], **given: Any) -> dict[str, Any]:
    return {"id": title, "title": title, "messages": messages, **given}


def _message(id: str, role: str, text: str, parent_id: str | None = None) -> dict[str, Any]:
    parts = [{"type": "text", "text": text}]
    return {"id": id, "role": role, "parts": parts, "parent_id": parent_id}


def _exchange(question: str, answer: str) -> list[dict[str, Any]]:
    return [_message("q", "user", question), _message("a", "assistant", answer, "q")]


async def _give(page: Page, *conversations: dict[str, Any]) -> None:
    """Put conversations into the account that is signed in."""
    response = await page.request.post("/api/import", data=json.dumps(conversations), headers={
        "content-type": "application/json"
    })  # fmt: skip
    report = await response.json()
    assert report["imported"] == len(conversations), report
    await page.reload()


def _answered(page: Page, method: str) -> AbstractAsyncContextManager[Any]:
    """Wait for the answer to a change: the page shows it before it is made."""
    return page.expect_response(lambda response: response.request.method == method)


async def _content(download: Download) -> bytes:
    return await asyncio.to_thread((await download.path()).read_bytes)


async def test_conversations_are_arranged(chat: ChatPage) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("arrange@example.com")
    await _give(
        page,
        _conversation("Mills", _exchange("Of mills", "They grind.")),
        _conversation("Rivers", _exchange("Of rivers", "They run.")),
        _conversation("Ponds", _exchange("Of ponds", "They rest.")),
    )
    await expect(sidebar.links).to_have_count(3)

    # Renamed in place, by keys alone.
    await sidebar.link("Mills").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await page.keyboard.press("Enter")
    field = sidebar.navigation.get_by_role("textbox", name="Title")
    await expect(field).to_be_focused()
    await field.fill("Windmills")
    async with _answered(page, "PATCH"):
        await field.press("Enter")
    await expect(sidebar.link("Windmills")).to_be_focused()
    await sidebar.choose("Rivers", "Rename")
    await field.fill("Nothing")
    await field.press("Escape")
    await expect(sidebar.link("Rivers")).to_be_visible()

    async with _answered(page, "PATCH"):
        await sidebar.choose("Ponds", "Pin")
    await expect(sidebar.group("Pinned").get_by_role("link")).to_have_text(["Ponds"])

    await sidebar.choose("Rivers", "Tags…")
    dialog = page.get_by_role("dialog", name="Tags")
    await dialog.get_by_label("Add a tag").fill("water, work")
    async with _answered(page, "PATCH"):
        await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("button", name="Remove tag")).to_have_count(2)
    async with _answered(page, "PATCH"):
        await dialog.get_by_role("button", name="Remove tag work").click()
    await expect(dialog.get_by_role("button", name="Remove tag")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(sidebar.link("Rivers")).to_have_text(re.compile("#water$"))

    await page.reload()
    await expect(sidebar.links.first).to_have_text("Ponds")
    await expect(sidebar.link("Windmills")).to_be_visible()
    await sidebar.show("water")
    await expect(sidebar.links).to_have_text(["Rivers#water"])
    await sidebar.navigation.get_by_role("button", name="No longer only tag water").click()
    await expect(sidebar.links).to_have_count(3)

    await sidebar.choose("Windmills", "Archive")
    await expect(sidebar.links).to_have_count(2)
    await expect(sidebar.navigation.locator("a:focus")).to_have_count(1)
    await sidebar.show("Archived")
    await expect(sidebar.links).to_have_text(["Windmills"])
    await sidebar.choose("Windmills", "Unarchive")
    await expect(sidebar.links).to_have_count(0)
    await sidebar.show("Recent")
    await expect(sidebar.links).to_have_count(3)


async def test_a_deletion_is_taken_back(chat: ChatPage) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("undo@example.com")
    await chat.send("Keep this")
    await chat.ends("complete")
    title, address = await chat.titled(), page.url

    await sidebar.choose(title, "Delete")
    await expect(sidebar.links).to_have_count(0)
    await expect(page).to_have_url("/")
    await sidebar.messages.get_by_role("button", name="Undo").click()
    await expect(page).to_have_url(address)
    await expect(sidebar.links).to_have_count(1)
    await expect(chat.questions).to_have_text(["Keep this"])

    # Long after, it can still be found among the deleted ones.
    async with _answered(page, "DELETE"):
        await sidebar.choose(title, "Delete")
    await expect(sidebar.links).to_have_count(0)
    await page.reload()
    await sidebar.show("Deleted")
    await sidebar.navigation.get_by_role("button", name=f"Restore {title}").click()
    await sidebar.show("Recent")
    await expect(sidebar.links).to_have_count(1)


async def test_what_the_server_refuses_is_taken_back(
    chat: ChatPage, console_errors: list[str]
) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("refused@example.com")
    await _give(page, _conversation("Mills", _exchange("Of mills", "They grind.")))

    async def refuse(route: Route) -> None:
        if route.request.method != "PATCH":
            await route.fallback()
            return
        problem = {"status": 503, "title": "Unavailable", "detail": "The database is down."}
        await route.fulfill(
            status=503, json=problem, headers={"content-type": "application/problem+json"}
        )

    await page.route("**/api/conversations/*", refuse)
    await sidebar.choose("Mills", "Pin")

    await expect(sidebar.messages).to_contain_text("The database is down.")
    await expect(sidebar.group("Pinned")).to_have_count(0)
    await expect(sidebar.link("Mills")).to_be_visible()
    assert "503" in console_errors.pop()


async def test_older_conversations_come_with_scrolling(chat: ChatPage) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("many@example.com")
    await _give(
        page,
        *(
            _conversation(
                f"Number {number}",
                [_message("q", "user", "Count.")],
                updated_at=f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
                created_at="2026-01-01T00:00:00Z",
            )
            for number in range(90)
        ),
    )
    older = sidebar.navigation.get_by_role("button", name="Show older")

    for loaded in (40, 80):
        await expect(sidebar.links).to_have_count(loaded)
        await older.scroll_into_view_if_needed()
    await expect(sidebar.links).to_have_count(90)
    await expect(sidebar.links.first).to_have_text("Number 89")
    await expect(sidebar.links.last).to_have_text("Number 0")


def _long_tree() -> dict[str, Any]:
    """A conversation whose first answer was followed by an old branch, and then by a long one."""
    messages = [
        _message("q", "user", "What is a headgate? " + "It stands upstream. " * 40),
        _message("a", "assistant", "A gate.", "q"),
        _message("old-q", "user", "And what <b>pipe</b> leads down?", "a"),
        _message("old-a", "assistant", "The penstock leads down to the wheel.", "old-q"),
    ]
    last = "a"
    for turn in range(12):
        messages.append(_message(f"q{turn}", "user", f"Question {turn}", last))
        last = f"a{turn}"
        messages.append(_message(last, "assistant", "Water flows. " * 60, f"q{turn}"))
    return _conversation("Waterworks", messages, active_leaf_id=last, tags=["water"])


async def test_search_opens_the_message_that_it_found(chat: ChatPage) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("search@example.com")
    await _give(page, _long_tree(), _conversation("Mills", _exchange("Of mills", "They grind.")))
    await expect(sidebar.link("Waterworks")).to_be_visible()
    search = page.get_by_role("combobox", name="Search conversations")
    found = page.get_by_role("listbox", name="Found").get_by_role("option")

    # In the branch that is shown, far above its end.
    await page.keyboard.press("Control+k")
    await expect(search).to_be_focused()
    await search.press_sequentially("headgate")
    await expect(found).to_have_count(1)
    await expect(found.locator("mark")).to_have_text("headgate")
    await search.press("Enter")
    await expect(search).to_be_hidden()
    await expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}#m-"))
    await expect(chat.questions.first).to_be_in_viewport()

    # In a branch that is not shown; what was written as HTML is read as it was written.
    await expect(page.get_by_text("Question 11")).to_have_count(1)
    await page.get_by_role("button", name="Search", exact=True).click()
    await search.fill("pipe")
    await expect(found).to_contain_text("And what <b>pipe</b> leads down")
    await found.click()
    await expect(search).to_be_hidden()
    await expect(chat.answers.last).to_contain_text("The penstock leads down")
    await expect(page.get_by_text("And what <b>pipe</b> leads down?")).to_be_in_viewport()
    await expect(page.get_by_text("Question 11")).to_have_count(0)

    # A title, but not among what has a tag that it lacks.
    await page.keyboard.press("Control+k")
    await search.fill("mills")
    await expect(found.first).to_contain_text("Mills")
    await page.get_by_role("combobox", name="Tag").select_option("water")
    await expect(page.get_by_text("Nothing was found.", exact=True)).to_be_visible()
    await page.get_by_role("combobox", name="Tag").select_option("")
    await found.first.click()
    await expect(chat.questions).to_have_text(["Of mills"])


async def test_a_link_is_read_by_anybody_until_it_is_revoked(
    chat: ChatPage, second_page: Page, console_errors: list[str]
) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("share@example.com")
    await chat.choose("reasoning")
    await chat.attach(_NOTES, _PICTURE)
    await chat.composer.fill("What is **the** answer?")
    await page.get_by_role("button", name="Send", exact=True).click()
    await chat.ends("complete")
    title = await chat.titled()

    await sidebar.choose(title, "Share…")
    dialog = page.get_by_role("dialog", name="Share")
    await dialog.get_by_label("Expires").select_option("After a week")
    await dialog.get_by_label("Show my name").check()
    await dialog.get_by_label("Name to show").fill("Ada")
    await dialog.get_by_role("button", name="Create a link").click()
    address = await dialog.get_by_label("Link", exact=True).input_value()
    await expect(dialog.get_by_role("listitem")).to_contain_text("as Ada")

    await second_page.goto(address)
    await expect(second_page.get_by_role("heading", name=title)).to_be_visible()
    await expect(second_page.get_by_text("Shared by Ada on")).to_be_visible()
    await expect(second_page.get_by_role("article", name="Question")).to_contain_text(
        "What is **the** answer?"
    )
    answer = second_page.get_by_role("article", name="Answer")
    await expect(answer).to_contain_text("Forty-two.")
    await answer.get_by_role("button", name="Thoughts").click()
    await expect(answer).to_contain_text("The question is short")
    await expect(second_page.get_by_role("navigation", name="Conversations")).to_have_count(0)
    await expect(second_page.get_by_role("img", name="wheel.png")).to_have_js_property(
        "naturalWidth", 6
    )
    async with second_page.expect_download() as download:
        await second_page.get_by_role("link", name="Download notes.txt").click()
    assert await _content(await download.value) == b"Of wheels."

    await dialog.get_by_role("button", name="Revoke the link").click()
    async with _answered(page, "DELETE"):
        await dialog.get_by_role("button", name="Revoke for good?").click()
    await expect(dialog.get_by_role("listitem")).to_have_count(0)
    await second_page.reload()
    await expect(second_page.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
    assert "404" in console_errors.pop()


async def test_conversations_go_out_and_into_another_account(
    chat: ChatPage, second_page: Page, tmp_path: Path
) -> None:
    page, sidebar = chat.page, Sidebar(chat.page)
    await chat.register("out@example.com")
    await _give(
        page,
        _long_tree(),
        _conversation("Mills", _exchange("Of mills", "They **grind**.")),
    )

    async with page.expect_download() as download:
        await sidebar.choose("Mills", "Export as Markdown")
    assert b"They **grind**." in await _content(await download.value)

    await page.goto("/account")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Export everything").click()
    archive = tmp_path / (await download.value).suggested_filename
    await (await download.value).save_as(archive)
    assert archive.suffix == ".zip"
    await expect(page.get_by_text(re.compile("^Saved: 1 file"))).to_be_visible()

    other = ChatPage(second_page)
    await other.open()
    await other.register("in@example.com")
    await second_page.goto("/account")
    await second_page.get_by_label("File to import").set_input_files(archive)
    report = second_page.get_by_text("2 of 2 conversations imported from Tailrace")
    await expect(report).to_be_visible()
    await expect(Sidebar(second_page).links).to_have_count(2)

    await second_page.get_by_label("File to import").set_input_files(archive)
    await expect(second_page.get_by_text("Not imported (2): It is here already.")).to_be_visible()
    await Sidebar(second_page).link("Waterworks").click()
    await expect(other.questions.last).to_have_text("Question 11")
