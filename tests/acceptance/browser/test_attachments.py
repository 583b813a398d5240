"""Attaching files in the browser: what is sent, what is shown, and what is refused before that."""

import asyncio
import base64
import random
import re
import struct
import zlib

import pytest
from playwright.async_api import FilePayload, Page, Route, expect

from tests.acceptance.browser.chat_page import ChatPage, fits
from tests.support.pdfs import make_pdf

# Ten by ten pixels.
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR42mPQvbIfD2IYlcaGAMNVrwEmjelOAAAA"
    "AElFTkSuQmCC"
)
_PICTURE = FilePayload(name="picture.png", mimeType="image/png", buffer=_PNG)
_NOTES = FilePayload(name="notes.md", mimeType="text/markdown", buffer=b"# Notes\n")
_FILM = FilePayload(name="film.mp4", mimeType="video/mp4", buffer=b"film")

# Drops or pastes a picture where the event is dispatched.
_HAND_OVER = """(target, [kind, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
  const init = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  const Kind = kind === "paste" ? ClipboardEvent : DragEvent;
  target.dispatchEvent(new Kind(kind, init));
}"""


@pytest.fixture
async def chat(page: Page) -> ChatPage:
    chat = ChatPage(page)
    await chat.open()
    return chat


@pytest.mark.parametrize("who", ["guest", "user"])
async def test_a_picture_goes_with_a_message(chat: ChatPage, who: str) -> None:
    if who == "user":
        await chat.register("picture@example.com")
    await chat.attach(_PICTURE, _NOTES)
    await expect(chat.attached).to_have_count(2)
    await expect(chat.attached.get_by_role("img", name="picture.png")).to_be_visible()

    await chat.send("What is this?")

    await expect(await chat.ends("complete")).to_contain_text("What is this?")
    await expect(chat.attached).to_have_count(0)
    enlarge = chat.questions.get_by_role("button", name="Enlarge picture.png")
    await expect(enlarge).to_be_visible()
    await chat.page.reload()
    await expect(chat.questions.get_by_role("link", name="Download notes.md")).to_be_visible()
    await enlarge.click()
    large = chat.page.get_by_role("dialog").get_by_role("img", name="picture.png")
    await expect(large).to_have_js_property("naturalWidth", 10)
    await chat.page.keyboard.press("Escape")
    await expect(large).to_be_hidden()

    await chat.send("And now?")
    await expect(chat.answers).to_have_count(2)
    await expect(await chat.ends("complete")).to_contain_text("And now?")


async def test_a_document_is_uploaded_and_read_by_a_model_that_reads_none(chat: ChatPage) -> None:
    await chat.register("document@example.com")
    await chat.choose("text")
    report = FilePayload(
        name="weir.pdf", mimeType="application/pdf", buffer=make_pdf("The weir is closed.")
    )
    await chat.attach(report, _NOTES)
    await expect(chat.attached).to_have_count(2)

    await chat.send("Read it.")
    await expect(await chat.ends("complete")).to_contain_text("The weir is closed.")
    await chat.page.reload()
    saved = chat.questions.get_by_role("link", name="Download weir.pdf")
    await expect(saved).to_have_attribute("href", re.compile("^/api/attachments/"))
    async with chat.page.expect_download() as download:
        await saved.click()
    assert (await download.value).suggested_filename == "weir.pdf"

    # What was uploaded once is not sent again.
    sent: list[str] = []
    chat.page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    await chat.attach(report)
    await expect(chat.attached.get_by_text("weir.pdf")).to_be_visible()
    await chat.send("And again?")
    await expect(chat.answers).to_have_count(2)
    assert [line for line in sent if line.endswith("/upload")] == []


async def test_a_message_goes_off_with_its_files(chat: ChatPage) -> None:
    await chat.register("waiting@example.com")
    may_arrive = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_arrive.wait()
        await route.continue_()

    await chat.page.route("**/api/attachments/*/upload", hold)
    await chat.choose_files(_NOTES)
    await chat.send("Read them.")
    await expect(chat.page.get_by_text("Goes off with its files")).to_be_visible()
    await chat.page.get_by_role("button", name="Hold", exact=False).click()
    await expect(chat.page.get_by_text("Goes off with its files")).to_be_hidden()
    await expect(chat.composer).to_have_value("Read them.")
    await expect(chat.questions).to_have_count(0)

    await chat.page.get_by_role("button", name="Send").click()
    await expect(chat.page.get_by_text("Goes off with its files")).to_be_visible()
    may_arrive.set()
    await chat.ends("complete")
    await expect(chat.questions.get_by_role("link", name="Download notes.md")).to_be_visible()
    await expect(chat.attached).to_have_count(0)


async def test_pictures_are_dropped_and_pasted(chat: ChatPage) -> None:
    picture = base64.b64encode(_PNG).decode()

    await chat.page.locator("main").evaluate(_HAND_OVER, ["dragover", picture])
    await expect(chat.page.get_by_text("Drop files to attach them")).to_be_visible()
    await chat.page.locator("main").evaluate(_HAND_OVER, ["drop", picture])
    await expect(chat.page.get_by_text("Drop files to attach them")).to_be_hidden()
    await chat.composer.evaluate(_HAND_OVER, ["paste", picture])

    await expect(chat.attached).to_have_count(2)
    await chat.page.get_by_role("button", name="Remove drop.png").click()
    await expect(chat.composer).to_be_focused()
    # A picture needs no words.
    await chat.composer.press("Enter")
    await expect(chat.questions.get_by_role("button", name="Enlarge paste.png")).to_be_visible()
    await chat.ends("complete")


async def test_a_photograph_is_made_small_enough(chat: ChatPage) -> None:
    # Noise cannot be packed: the file is as large as its pixels, four million bytes and a half.
    noise = random.Random(1).randbytes(1_500 * 3_000)
    rows = b"".join(b"\0" + noise[start : start + 4_500] for start in range(0, len(noise), 4_500))
    size = struct.pack(">IIBBBBB", 1_500, 1_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    assert len(picture) > 3 * 2**20

    await chat.attach(FilePayload(name="photo.png", mimeType="image/png", buffer=picture))
    await expect(chat.attached.get_by_role("img", name="photo.jpg")).to_be_visible()
    await chat.send("A photograph.")

    await chat.ends("complete")
    enlarge = chat.questions.get_by_role("button", name="Enlarge photo.jpg")
    await expect(enlarge.get_by_role("img")).to_have_attribute(
        "src", re.compile("^data:image/jpeg")
    )


async def test_what_a_model_does_not_take_is_refused_at_once(chat: ChatPage) -> None:
    await chat.choose("text")
    refusal = chat.page.get_by_role("alert")

    await chat.attach(_FILM)
    await expect(refusal).to_contain_text("film.mp4 cannot be attached: only PNG")
    await chat.attach(_PICTURE)
    await expect(refusal).to_contain_text("picture.png cannot be sent: text does not take images")
    await expect(chat.attached).to_have_count(0)

    large = FilePayload(name="large.txt", mimeType="text/plain", buffer=b"a" * (3 * 2**20 + 1))
    await chat.attach(large)
    await expect(refusal).to_contain_text("large.txt is too large: it has 3.1 MiB, and at most 3")
    await refusal.get_by_role("button", name="Dismiss").click()
    await expect(refusal).to_be_hidden()


async def test_another_model_may_not_take_what_is_attached(chat: ChatPage) -> None:
    await chat.attach(_PICTURE)
    await chat.composer.fill("Look.")
    send = chat.page.get_by_role("button", name="Send")
    await expect(send).to_be_enabled()

    await chat.choose("text")
    await expect(chat.page.get_by_text("text does not take images")).to_be_visible()
    await expect(send).to_be_disabled()
    await chat.page.get_by_role("button", name="Remove picture.png").click()
    await expect(send).to_be_enabled()


async def test_a_full_storage_is_told_of_and_the_chat_goes_on(chat: ChatPage) -> None:
    # Chromium keeps 5 Mi characters for a site: this leaves room for words, and for no picture.
    await chat.page.evaluate(
        "localStorage.setItem('somebody.else', 'x'.repeat(5 * 2 ** 20 - 20_000))"
    )
    large = FilePayload(name="large.txt", mimeType="text/plain", buffer=b"a" * 30_000)
    await chat.attach(large)
    await chat.send("Keep this.")

    await expect(await chat.ends("complete")).to_contain_text("Keep this.")
    notice = chat.page.get_by_text("storage is full. Some attached files")
    await expect(notice).to_be_visible()
    await chat.page.reload()
    await expect(chat.questions).to_contain_text("Keep this.")
    await expect(chat.questions).to_contain_text(re.compile("large.txt.*no longer kept", re.S))
    await chat.send("Go on.")
    await expect(chat.answers).to_have_count(2)
    await expect(await chat.ends("complete")).to_contain_text("Go on.")


async def test_attachments_fit_a_small_screen(chat: ChatPage) -> None:
    await chat.page.set_viewport_size({"width": 360, "height": 700})
    notes = FilePayload(name="n" * 120 + ".txt", mimeType="text/plain", buffer=b"notes")
    await chat.attach(_PICTURE, notes)
    await expect(chat.attached).to_have_count(2)
    await fits(chat.page.locator("html"))

    await chat.composer.press("Enter")
    await chat.ends("complete")

    await fits(chat.page.locator("html"))
