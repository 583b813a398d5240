"""People in the browser: ways in and out, what comes along, keys, sessions, administration."""

import asyncio
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.acceptance.browser.chat_page import PASSWORD, ChatPage, fits
from tests.acceptance.browser.storyteller import BEGUN, MODEL, Storyteller
from tests.support.identity_provider import IdentityProvider, running

_ADMIN = "admin@example.com"
_NEW_PASSWORD = "a rather different passphrase"
_FORGET_ANSWER = """(id) => {
    const key = `tailrace.guest.conversation.${id}`;
    localStorage.setItem(key, JSON.stringify(JSON.parse(localStorage.getItem(key)).slice(0, -1)));
}"""


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that mails go to."""
    return tmp_path_factory.mktemp("outbox")


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    """The identity provider."""
    with running() as provider:
        yield provider


@pytest.fixture(scope="module")
def stack_settings(outbox: Path, provider: IdentityProvider) -> dict[str, str]:
    """A stack with mail and an identity provider."""
    return {
        "TAILRACE_MAIL_URL": outbox.as_uri(),
        "TAILRACE_OIDC_ISSUER": provider.issuer,
        "TAILRACE_OIDC_CLIENT_ID": "tailrace",
        "TAILRACE_OIDC_CLIENT_SECRET": "secret",
        "TAILRACE_OIDC_NAME": "Example ID",
    }


@pytest.fixture(scope="module", autouse=True)
async def admin(stack: str) -> None:
    """Register the first user, who administers, before anybody else does."""
    async with httpx.AsyncClient(base_url=stack, headers={"origin": stack}) as http:
        credentials = {"email": _ADMIN, "password": PASSWORD}
        (await http.post("/api/auth/register", json=credentials)).raise_for_status()


@pytest.fixture
async def chat(page: Page) -> ChatPage:
    """A chat that can be typed into."""
    chat = ChatPage(page)
    await chat.open()
    return chat


async def test_a_forgotten_password_is_replaced(
    chat: ChatPage, outbox: Path, console_errors: list[str]
) -> None:
    page, email = chat.page, "forgetful@example.com"
    await chat.register(email)
    await _sign_out(page)

    await page.get_by_role("button", name="Sign in").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Forgot your password?").click()
    await dialog.get_by_label("Email").fill(email)
    await dialog.get_by_role("button", name="Send the link").click()
    await expect(dialog.get_by_role("status")).to_contain_text(email)
    link = await _link_in_mail(outbox, email)

    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(link)
    await expect(page).to_have_url("/reset-password")
    await page.get_by_label("New password").fill("short")
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("New password").fill(_NEW_PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("Your password is changed")).to_be_visible()
    token = link.partition("token=")[2]
    assert token
    assert not [url for url in requests if token in url.partition("#")[0]]

    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await _fill_in(dialog, email, _NEW_PASSWORD)
    await expect(dialog).to_be_hidden()
    await expect(page).to_have_url("/")
    await expect(_account_button(page)).to_contain_text(email)

    # The link has been used.
    await page.goto(link)
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("alert")).to_contain_text("was used or has expired")
    _were_refused(console_errors, "422", "422")


async def test_what_a_guest_said_comes_along_and_goes_on(chat: ChatPage) -> None:
    page = chat.page
    await chat.send("said as a guest")
    await chat.ends("complete")
    await expect(page).to_have_url(re.compile("/c/"))
    address = page.url

    await chat.register("newcomer@example.com")

    await expect(page).to_have_url(address)
    await expect(chat.questions).to_have_text(["said as a guest"])
    await chat.send("said as a user")
    await expect(chat.answers).to_have_count(2)
    await chat.ends("complete")
    await page.reload()
    await expect(chat.questions).to_have_text(["said as a guest", "said as a user"])
    await expect(await chat.link()).to_be_visible()

    # Nothing of it stays behind in the browser.
    await _sign_out(page)
    await expect(page).to_have_url("/")
    await expect(chat.sidebar.get_by_role("link")).to_have_count(0)


async def test_a_question_without_an_answer_is_answered_to_the_user(chat: ChatPage) -> None:
    page = chat.page
    await chat.send("was this heard?")
    await chat.ends("complete")
    await expect(page).to_have_url(re.compile("/c/"))
    address = page.url
    # As if the browser had been closed before the first word came.
    await page.goto("/account")
    await page.evaluate(_FORGET_ANSWER, address.rpartition("/")[2])
    await page.goto(address)
    await expect(chat.questions).to_have_text(["was this heard?"])
    await expect(chat.answers).to_have_count(0)

    await chat.register("unheard@example.com")

    await expect(await chat.ends("complete")).to_contain_text("was this heard?")
    await page.reload()
    await expect(chat.questions).to_have_text(["was this heard?"])
    await expect(chat.answers).to_have_count(1)


async def test_signing_in_waits_for_the_answer_under_way(
    chat: ChatPage, story: Storyteller
) -> None:
    page = chat.page
    await chat.choose(MODEL)
    await chat.send("Tell me while I sign in.")
    await expect(chat.answers).to_contain_text(BEGUN)

    await page.get_by_role("button", name="Sign in").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("tab", name="Register").click()
    await _fill_in(dialog, "hasty@example.com", PASSWORD, "Create account")
    await expect(dialog.get_by_role("status")).to_contain_text("Waiting for the answer")
    await dialog.get_by_role("button", name="Do not wait").click()

    await expect(dialog).to_be_hidden()
    await expect(chat.questions).to_have_text(["Tell me while I sign in."])
    await expect(await chat.ends("interrupted")).to_contain_text(BEGUN)
    story.end("Tell me while I sign in.")


async def test_a_failed_import_keeps_everything_and_can_be_tried_again(
    chat: ChatPage, console_errors: list[str]
) -> None:
    page = chat.page
    await chat.send("do not lose me")
    await chat.ends("complete")
    await expect(page).to_have_url(re.compile("/c/"))
    address = page.url

    async def break_down(route: Route) -> None:
        await route.fulfill(status=503, json={"status": 503, "detail": "Down for a moment."})

    await page.route("**/api/guests/import", break_down)
    await chat.register("unlucky@example.com")
    notice = page.get_by_role("alert").filter(has_text="still in this browser")
    await expect(notice).to_contain_text("1 conversation")
    await expect(notice).to_contain_text("Down for a moment.")

    await page.unroute("**/api/guests/import")
    await notice.get_by_role("button", name="Try again").click()

    await expect(notice).to_be_hidden()
    await page.goto(address)
    await expect(chat.questions).to_have_text(["do not lose me"])
    _were_refused(console_errors, "503")


async def test_the_identity_provider_brings_a_guest_in_with_everything(
    chat: ChatPage, provider: IdentityProvider
) -> None:
    page = chat.page
    await provider.know("ada-1", email="ada-1@example.com", email_verified=True)
    await chat.send("before the provider")
    await chat.ends("complete")
    await chat.composer.fill("not sent yet")
    await expect(page).to_have_url(re.compile("/c/"))
    address = page.url

    await _to_provider(page)
    await page.get_by_placeholder("sub").fill("ada-1")
    await page.get_by_role("button", name="Authorize").click()

    await expect(page).to_have_url(address)
    await expect(_account_button(page)).to_contain_text("ada-1@example.com")
    await expect(chat.questions).to_have_text(["before the provider"])
    await expect(chat.composer).to_have_value("not sent yet")

    # The account has no password: none is asked for.
    await page.goto("/account")
    section = page.get_by_label("Password", exact=True)
    await expect(section).to_contain_text("You sign in without a password.")
    await section.get_by_role("button", name="Send a link to set one").click()
    await expect(section.get_by_role("status")).to_contain_text("ada-1@example.com")
    await page.get_by_role("button", name="Delete the account").click()
    await expect(page.get_by_role("dialog").get_by_role("textbox")).to_have_count(1)


async def test_a_sign_in_that_was_refused_says_why_once(
    chat: ChatPage, provider: IdentityProvider
) -> None:
    page = chat.page
    await provider.know("eve-1", email=_ADMIN, email_verified=False)
    await chat.composer.fill("not sent yet")
    await _to_provider(page)

    await page.get_by_placeholder("sub").fill("eve-1")
    await page.get_by_role("button", name="Authorize").click()

    notice = page.get_by_role("alert")
    await expect(notice).to_contain_text("Sign in with your password instead.")
    await expect(page).to_have_url("/")
    await expect(chat.composer).to_have_value("not sent yet")
    await page.reload()
    await expect(chat.composer).to_be_visible()
    await expect(notice).to_be_hidden()


async def test_a_key_is_made_used_renamed_and_revoked(chat: ChatPage, stack: str) -> None:
    page = chat.page
    await chat.register("keys@example.com")
    await _open(page, "Account")
    keys = page.get_by_role("region", name="API keys")

    await keys.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Backup")
    await dialog.get_by_label("Read, search and export").check()
    await dialog.get_by_label("It works for").select_option("a year")
    await dialog.get_by_role("button", name="Make the key").click()
    secret = await dialog.get_by_label("The key", exact=True).input_value()
    await dialog.get_by_role("button", name="I have kept it").click()

    await expect(keys).to_contain_text("Backup")
    await expect(keys).to_contain_text("never used")
    await expect(keys).not_to_contain_text(secret)
    async with httpx.AsyncClient(
        base_url=stack, headers={"authorization": f"Bearer {secret}"}
    ) as http:
        assert (await http.get("/api/conversations")).status_code == 200

        await keys.get_by_role("button", name="Rename Backup").click()
        await dialog.get_by_label("Name").fill("Nightly backup")
        await dialog.get_by_role("button", name="Rename").click()
        await expect(dialog).to_be_hidden()
        await expect(keys).to_contain_text("Nightly backup")
        await expect(keys).to_contain_text("last used")

        await keys.get_by_role("button", name="Revoke Nightly backup").click()
        await dialog.get_by_role("button", name="Revoke").click()
        await expect(keys).to_contain_text("You have no keys.")
        assert (await http.get("/api/conversations")).status_code == 401


async def test_a_session_is_ended_from_another_browser(
    chat: ChatPage, second_page: Page, console_errors: list[str]
) -> None:
    page, email = chat.page, "everywhere@example.com"
    await chat.register(email)
    other = ChatPage(second_page)
    await other.open()
    await _sign_in(second_page, email)
    await _open(second_page, "Account")

    await _open(page, "Account")
    sessions = page.get_by_role("region", name="Sessions")
    await expect(sessions.get_by_role("listitem")).to_have_count(2)
    await expect(sessions.get_by_text("This browser")).to_have_count(1)
    await sessions.get_by_role("button", name=re.compile("^Sign out Chrome")).click()
    await expect(sessions.get_by_role("listitem")).to_have_count(1)

    # The other browser learns of it by what it asks next.
    await second_page.get_by_role("button", name="New key").click()
    dialog = second_page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("too late")
    await dialog.get_by_role("button", name="Make the key").click()
    await expect(second_page.get_by_text("You are not signed in")).to_be_visible()
    # Whatever else it asked is refused as well, until it is gone.
    await second_page.close()
    _were_refused(console_errors, *["401"] * len(console_errors))

    await sessions.get_by_role("button", name="Sign out everywhere").click()
    await page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    await expect(page).to_have_url("/")
    await expect(_account_button(page)).to_contain_text("Guest")


async def test_other_tabs_follow_who_comes_and_goes(chat: ChatPage) -> None:
    email = "tabs@example.com"
    async with chat.page.expect_popup() as tab:
        await chat.page.evaluate("window.open('/')")
    other = ChatPage(await tab.value)
    await expect(other.composer).to_be_visible()
    await other.send("said in the other tab")
    await other.ends("complete")
    await expect(other.page).to_have_url(re.compile("/c/"))

    await chat.register(email)
    await expect(_account_button(other.page)).to_contain_text(email)
    await expect(other.questions).to_have_text(["said in the other tab"])
    await expect(await other.link()).to_be_visible()

    await _sign_out(chat.page)
    await expect(_account_button(other.page)).to_contain_text("Guest")
    await expect(other.questions).to_have_count(0)


async def test_a_password_is_changed(chat: ChatPage, console_errors: list[str]) -> None:
    page, email = chat.page, "changing@example.com"
    await chat.register(email)
    await _open(page, "Account")
    section = page.get_by_role("region", name="Password")
    await section.get_by_label("Current password").fill("something else")
    await section.get_by_label("New password").fill(_NEW_PASSWORD)
    await section.get_by_role("button", name="Change the password").click()
    await expect(section.get_by_role("alert")).to_have_text("The password is wrong.")
    _were_refused(console_errors, "422")

    await section.get_by_label("Current password").fill(PASSWORD)
    await section.get_by_role("button", name="Change the password").click()
    await expect(section.get_by_role("status")).to_contain_text("changed")

    await _sign_out(page)
    await _sign_in(page, email, _NEW_PASSWORD)
    await expect(_account_button(page)).to_contain_text(email)


async def test_an_account_is_deleted_for_good(chat: ChatPage, console_errors: list[str]) -> None:
    page, email = chat.page, "leaving@example.com"
    await chat.register(email)
    await _open(page, "Account")
    await page.get_by_role("button", name="Delete the account").click()
    dialog = page.get_by_role("dialog")
    erase = dialog.get_by_role("button", name="Delete for good")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await expect(erase).to_be_disabled()
    await dialog.get_by_label(f"Type {email}").fill(email)
    await erase.click()

    await expect(page).to_have_url("/")
    await expect(_account_button(page)).to_contain_text("Guest")
    await page.get_by_role("button", name="Sign in").first.click()
    await _fill_in(dialog, email, PASSWORD)
    await expect(dialog.get_by_role("alert")).to_contain_text("is wrong")
    _were_refused(console_errors, "401")


async def test_an_admin_disables_a_user(
    page: Page, second_page: Page, console_errors: list[str]
) -> None:
    email = "trouble@example.com"
    user = ChatPage(second_page)
    await user.open()
    await user.register(email)
    admin = ChatPage(page)
    await admin.open()
    await _sign_in(page, _ADMIN)
    await _open(page, "Users")

    await page.get_by_role("button", name=f"Details of {email}").click()
    details = page.get_by_role("dialog").filter(has_text="Quotas")
    await details.get_by_role("button", name="Change").click()
    await details.get_by_label("Tokens today").select_option("Own limit")
    await details.get_by_label("Tokens today, tokens").fill("250,000")
    await details.get_by_role("button", name="Save").click()
    await expect(details.get_by_role("region", name="Quotas")).to_contain_text("of 250K")

    await details.get_by_role("button", name="Disable the account").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable", exact=True).click()
    await expect(details).to_contain_text("disabled")
    await page.keyboard.press("Escape")
    row = page.get_by_role("row").filter(has_text=email)
    await expect(row).to_contain_text("disabled")

    await second_page.reload()
    await expect(_account_button(second_page)).to_contain_text("Guest")
    await second_page.get_by_role("button", name="Sign in").first.click()
    await _fill_in(second_page.get_by_role("dialog"), email, PASSWORD)
    refusal = second_page.get_by_role("dialog").get_by_role("alert")
    await expect(refusal).to_contain_text("This account is disabled.")
    _were_refused(console_errors, "403")

    await page.get_by_role("button", name=f"Details of {email}").click()
    await details.get_by_role("button", name="Enable the account").click()
    await expect(details.get_by_role("button", name="Disable the account")).to_be_visible()
    await second_page.keyboard.press("Escape")
    await _sign_in(second_page, email)
    await expect(_account_button(second_page)).to_contain_text(email)


async def test_administration_is_not_there_for_others(chat: ChatPage) -> None:
    await chat.page.goto("/admin")
    await expect(chat.page.get_by_text("There is nothing at this address")).to_be_visible()
    await chat.open()
    await chat.register("curious@example.com")
    await chat.page.goto("/admin")
    await expect(chat.page.get_by_text("There is nothing at this address")).to_be_visible()


async def test_the_account_fits_a_small_screen(chat: ChatPage) -> None:
    page = chat.page
    await chat.register("small@example.com")
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto("/account")
    await expect(page.get_by_role("region", name="API keys")).to_contain_text("You have no keys.")
    await fits(page.locator("html"))
    await page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Make the key")).to_be_visible()
    await fits(dialog)


def _were_refused(console_errors: list[str], *statuses: str) -> None:
    """Take out what the browser itself notes of requests that were to be refused, in order."""
    assert len(console_errors) == len(statuses), console_errors
    assert all(status in error for status, error in zip(statuses, console_errors, strict=True))
    console_errors.clear()


def _account_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Account and theme")


async def _open(page: Page, name: str) -> None:
    """Go to a page of the account's menu."""
    await _account_button(page).click()
    await page.get_by_role("menuitem", name=name, exact=True).click()
    await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


async def _sign_out(page: Page) -> None:
    await _account_button(page).click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(_account_button(page)).to_contain_text("Guest")


async def _sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    await page.get_by_role("button", name="Sign in").first.click()
    dialog = page.get_by_role("dialog")
    await _fill_in(dialog, email, password)
    await expect(dialog).to_be_hidden()


async def _fill_in(dialog: Locator, email: str, password: str, verb: str = "Sign in") -> None:
    await dialog.get_by_label("Email").fill(email)
    await dialog.get_by_label("Password").fill(password)
    await dialog.get_by_role("button", name=verb, exact=True).click()


async def _to_provider(page: Page) -> None:
    """Go to the identity provider, whose page is not to ask for anything from elsewhere."""

    async def give_nothing(route: Route) -> None:
        await route.fulfill(content_type="text/css", body="")

    await page.route(lambda url: not url.startswith("http://localhost:"), give_nothing)
    await page.get_by_role("button", name="Sign in").first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Continue with Example ID").click()
    await expect(page.get_by_role("heading", name="Authorize Client")).to_be_visible()


async def _link_in_mail(outbox: Path, email: str) -> str:
    """Wait for the mail to somebody, and return the link in it."""
    for _ in range(300):
        if link := _find_link(outbox, email):
            return link
        await asyncio.sleep(0.2)
    raise AssertionError(f"no mail to {email} within a minute")


def _find_link(outbox: Path, email: str) -> str | None:
    for path in outbox.glob("*.eml"):
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        body = mail.get_body()
        if mail["to"] == email and body is not None:
            found = re.search(r"http\S+", body.get_content())
            return found and found[0]
    return None
