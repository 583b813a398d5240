"""The chat as a person uses it: what they type, press and see."""

import re
from urllib.parse import urlsplit

from playwright.async_api import FilePayload, Locator, Page, expect

PASSWORD = "correct horse battery staple"


class ChatPage:
    """A chat on a page that shows one."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.get_by_role("textbox", name="Message")
        self.questions = page.get_by_role("article", name="You")
        self.answers = page.get_by_role("article", name="Answer")
        self.attached = page.get_by_role("list", name="Attached files").get_by_role("listitem")
        self.sidebar = page.get_by_role("navigation", name="Conversations")

    async def open(self, address: str = "/") -> None:
        """Go to the page and wait until it can be typed into."""
        await self.page.goto(address)
        await expect(self.composer).to_be_visible()

    async def choose(self, model: str) -> None:
        """Choose a model by its id, or by its name where it is one of the scripted provider."""
        await self.page.get_by_role("button", name="Model:").click()
        search = self.page.get_by_role("combobox", name="Search models")
        await search.fill(model if "/" in model else f"scripted/{model}")
        await search.press("Enter")
        await expect(search).to_be_hidden()

    async def choose_files(self, *files: FilePayload) -> None:
        """Choose files in the dialog behind the attach button."""
        async with self.page.expect_file_chooser() as dialog:
            await self.page.get_by_role("button", name="Attach files").click()
        await (await dialog.value).set_files(files)

    async def attach(self, *files: FilePayload) -> None:
        """Choose files as `choose_files` does, and wait until they are uploaded."""
        await self.choose_files(*files)
        uploading = self.page.get_by_role("progressbar", name="Uploading")
        await expect(uploading).to_have_count(0)

    async def send(self, text: str) -> None:
        """Write a message and press Enter, as soon as it can be sent."""
        await self.composer.fill(text)
        await expect(self.page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
        await self.composer.press("Enter")

    async def ends(self, status: str) -> Locator:
        """Wait until the last answer has ended with this status, and return it."""
        await expect(self.answers.last).to_have_attribute("data-status", status)
        return self.answers.last

    async def link(self) -> Locator:
        """Return the sidebar's link to the conversation that is open, once it has an address."""
        await expect(self.page).to_have_url(re.compile("/c/"))
        return self.sidebar.locator(f'a[href="{urlsplit(self.page.url).path}"]')

    async def titled(self) -> str:
        """Return the title of a user's conversation that was answered, once the sidebar has it."""
        link = await self.link()
        conversation = urlsplit(self.page.url).path.removeprefix("/c/")
        kept = await self.page.request.get(f"/api/conversations/{conversation}")
        title = (await kept.json())["title"]
        await expect(link).to_have_text(title)
        return title

    async def register(self, email: str) -> None:
        """Make an account, and wait until it is signed in."""
        await self.page.get_by_role("button", name="Sign in").first.click()
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_role("tab", name="Register").click()
        await dialog.get_by_label("Email").fill(email)
        await dialog.get_by_label("Password").fill(PASSWORD)
        await dialog.get_by_role("button", name="Create account").click()
        await expect(dialog).to_be_hidden()
        await expect(self.page.get_by_role("button", name="Account and theme")).to_contain_text(
            email
        )


async def fits(box: Locator) -> None:
    """Wait until a box, such as the page's `html`, has nothing that is wider than itself."""
    width = await box.evaluate("(box) => box.clientWidth")
    await expect(box).to_have_js_property("scrollWidth", width)
