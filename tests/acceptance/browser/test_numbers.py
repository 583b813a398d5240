"""The numbers in the browser: calls show up by themselves, with their details."""

from playwright.async_api import Page, expect

from tests.acceptance.browser.chat_page import ChatPage


async def test_calls_show_up_within_seconds(page: Page) -> None:
    chat = ChatPage(page)
    await chat.open()
    await page.get_by_role("link", name="Numbers").click()
    await expect(page.get_by_role("heading", name="No calls in the last hour")).to_be_visible()

    await page.get_by_role("link", name="New chat").click()
    await chat.send("count me")
    await chat.ends("complete")
    await chat.choose("error")
    await chat.send("count this too")
    await chat.ends("error")
    await page.get_by_role("link", name="Numbers").click()

    rows = page.get_by_role("button", name="Details of the call")
    # Neither reloaded nor pressed: the page is live.
    await expect(rows).to_have_count(2, timeout=10_000)
    await expect(page.get_by_text("1 error", exact=True)).to_be_visible()
    await expect(page.get_by_role("heading", name="Time to first chunk")).to_be_visible()
    assert await page.locator("canvas").count() == 3


async def test_a_call_tells_everything_about_itself(page: Page) -> None:
    chat = ChatPage(page)
    await chat.open()
    await chat.send("tell me all")
    await chat.ends("complete")
    await page.goto("/numbers?range=15m")

    await page.get_by_role("button", name="Details of the call to echo").click()

    sheet = page.get_by_role("dialog")
    await expect(sheet.get_by_role("heading", name="echo")).to_be_visible()
    await expect(sheet).to_contain_text("guest")
    await expect(sheet).to_contain_text("Tokens in3")
    await expect(sheet).to_contain_text("tell me all")
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()


async def test_the_range_is_part_of_the_address(page: Page) -> None:
    await page.goto("/numbers?range=24h")
    await expect(page.get_by_role("radio", name="24 h")).to_be_checked()

    await page.get_by_role("radio", name="7 d").click()

    await expect(page).to_have_url("/numbers?range=7d")
    await expect(page.get_by_text("the last 7 days").first).to_be_visible()


async def test_the_numbers_fit_a_small_screen(page: Page) -> None:
    chat = ChatPage(page)
    await chat.open()
    await chat.send("small")
    await chat.ends("complete")
    await page.set_viewport_size({"width": 360, "height": 700})
    await page.goto("/numbers")

    await expect(page.get_by_role("button", name="Details of the call").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
