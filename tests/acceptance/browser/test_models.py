"""Models in the browser: choosing one, how much it thinks, and who answered in the end."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.browser.chat_page import ChatPage


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """A model that fails and has a fallback, and a provider without a key."""
    keyless = {
        "name": "keyless",
        "kind": "anthropic",
        "models": [{"name": "claude", "display_name": "Claude", "context_window": 200_000}],
    }
    return {
        "TAILRACE_PROVIDERS": json.dumps([{"name": "scripted", "kind": "scripted"}, keyless]),
        "TAILRACE_FALLBACKS": json.dumps({"scripted/error": ["scripted/echo"]}),
        "TAILRACE_GUEST_LIMIT": "100",
    }


@pytest.fixture
async def chat(page: Page) -> ChatPage:
    chat = ChatPage(page)
    await chat.open()
    return chat


async def test_models_are_searched_and_the_choice_is_remembered(chat: ChatPage) -> None:
    button = chat.page.get_by_role("button", name="Model:")
    await expect(button).to_have_text("echo")
    await button.click()
    search = chat.page.get_by_role("combobox", name="Search models")
    await expect(search).to_be_focused()
    await expect(chat.page.get_by_role("option", name="echo")).to_have_attribute(
        "aria-selected", "true"
    )

    await search.fill("vision echo")
    await expect(chat.page.get_by_role("option")).to_have_accessible_name("echo")
    await search.fill("stor")
    await search.press("Enter")

    await expect(button).to_have_text("story")
    await expect(chat.composer).to_be_focused()
    await chat.page.reload()
    await expect(button).to_have_text("story")


async def test_a_model_that_cannot_be_used_says_why(chat: ChatPage) -> None:
    await chat.page.get_by_role("button", name="Model:").click()
    group = chat.page.get_by_role("group", name="keyless")
    claude = group.get_by_role("option", name="Claude", exact=True)

    await expect(claude).to_be_disabled()
    await expect(claude).to_contain_text("The server has no API key for keyless.")
    await expect(claude).to_contain_text("200K context")


async def test_reasoning_effort_is_asked_of_models_that_reason(chat: ChatPage) -> None:
    effort = chat.page.get_by_role("button", name="Reasoning effort:")
    await expect(effort).to_have_count(0)
    await chat.choose("reasoning")
    await effort.click()
    await chat.page.get_by_role("menuitemradio", name="High").click()
    await expect(effort).to_have_text("High")

    async with chat.page.expect_request("**/api/chat") as request:
        await chat.send("Think hard.")
    assert '"reasoning_effort":"high"' in ((await request.value).post_data or "")
    await chat.ends("complete")

    await chat.page.reload()
    await expect(effort).to_have_text("High")
    await chat.choose("echo")
    await expect(effort).to_have_count(0)


@pytest.mark.parametrize("who", ["guest", "user"])
async def test_who_answered_instead_is_told(chat: ChatPage, who: str) -> None:
    if who == "user":
        await chat.register("fallback@example.com")
    await chat.choose("error")
    await chat.send("Is anybody there?")

    answer = await chat.ends("complete")
    await expect(answer).to_contain_text("Is anybody there?")
    await expect(answer.get_by_text("echo answered instead of error")).to_be_visible()
    await chat.page.reload()
    await expect(answer.get_by_text("echo answered instead of error")).to_be_visible()
    # The conversation goes on with the model that was chosen.
    await expect(chat.page.get_by_role("button", name="Model:")).to_have_text("error")


@pytest.mark.parametrize("who", ["guest", "user"])
async def test_what_did_not_fit_is_told(chat: ChatPage, who: str) -> None:
    if who == "user":
        await chat.register("small@example.com")
    await chat.choose("small")
    await chat.send("many words " * 30)
    await expect(await chat.ends("complete")).not_to_contain_text("left out")
    await chat.send("a few more")

    await expect(chat.answers).to_have_count(2)
    answer = await chat.ends("complete")
    notice = answer.get_by_text("2 earlier messages did not fit this model's context")
    await expect(notice).to_be_visible()
    await chat.page.reload()
    await expect(notice).to_be_visible()


async def test_the_attempts_of_a_call_are_listed(chat: ChatPage) -> None:
    await chat.choose("error")
    await chat.send("Is anybody there?")
    await chat.ends("complete")
    await chat.page.goto("/numbers?range=15m")

    listed = chat.page.get_by_role("region", name="List of calls")
    row = listed.get_by_role("row").filter(has_text="instead of error")
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Details of the call to echo").click()

    attempts = chat.page.get_by_role("dialog").get_by_role("region", name="attempt")
    await expect(attempts.get_by_role("listitem").last).to_have_text("scripted/echook")
    await expect(attempts.get_by_role("listitem").first).to_contain_text("scripted/error")
