"""The numbers in the browser: calls show up by themselves, with all that is known of them.

An admin sees everybody's, alerts about them, and the way that they take.
"""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, expect
from pydantic import SecretStr

from tailrace.services import Services
from tailrace.settings import ProviderSettings, Settings
from tests.acceptance.browser.chat_page import PASSWORD, ChatPage, fits
from tests.support.events import make_event, publish_all

_ADMIN = "admin@example.com"


@pytest.fixture(scope="module", autouse=True)
async def admin_id(stack: str) -> str:
    """Register the first user, who administers, before anybody else does."""
    async with httpx.AsyncClient(base_url=stack, headers={"origin": stack}) as http:
        credentials = {"email": _ADMIN, "password": PASSWORD}
        return (await http.post("/api/auth/register", json=credentials)).json()["id"]


@pytest.fixture
async def admin(page: Page, stack: str) -> Page:
    """A page whose reader administers."""
    credentials = {"email": _ADMIN, "password": PASSWORD}
    answer = await page.request.post("/api/auth/login", data=credentials, headers={"origin": stack})
    assert answer.ok
    return page


@pytest.fixture
async def services(
    stack: str, module_database_url: str, module_valkey_url: str
) -> AsyncIterator[Services]:
    """The stack's own database and queue."""
    settings = Settings(
        database_url=SecretStr(module_database_url),
        redis_url=SecretStr(module_valkey_url),
        secret_key=SecretStr("what is signed here is for nobody"),
        providers=(ProviderSettings(name="scripted", kind="scripted"),),
    )
    services = Services(settings)
    await services.open()
    yield services
    await services.close()


def _calls(page: Page) -> Locator:
    """The rows of the list of calls."""
    listed = page.get_by_role("region", name="List of calls")
    return listed.get_by_role("button", name="Details of the call")


def _figure(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


async def _menu(page: Page, view: str, item: str) -> Locator:
    await page.get_by_role("button", name=f"{view}: table and downloads", exact=True).click()
    return page.get_by_role("menuitem", name=item)


async def _download(page: Page, view: str, item: str) -> str:
    link = await _menu(page, view, item)
    async with page.expect_download() as download:
        await link.click()
    return _read(await (await download.value).path())


def _read(path: Path) -> str:
    return path.read_text()


async def _talk(page: Page, *models: str) -> None:
    """Have an answer of each model as a guest; those of `error` fail."""
    chat = ChatPage(page)
    await chat.open()
    for model in models:
        await chat.choose(model)
        await chat.send(f"count {model}")
        await chat.ends("error" if model == "error" else "complete")


async def test_calls_show_up_by_themselves(page: Page) -> None:
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

    # Neither reloaded nor pressed: the page is live.
    await expect(_calls(page)).to_have_count(2)
    await expect(_figure(page, "Error rate")).to_contain_text("50 %")
    await expect(_figure(page, "Error rate")).to_contain_text("1 error")
    await expect(_figure(page, "Cost")).to_contain_text("2 calls without a price")
    # A guest has no alerts to look at.
    await expect(page.get_by_role("link", name="Alerts")).to_have_count(0)


async def test_a_call_tells_everything_about_itself(page: Page) -> None:
    chat = ChatPage(page)
    await chat.open()
    await chat.send("tell me all")
    await chat.ends("complete")
    await page.goto("/numbers?range=15m")

    await _calls(page).click()

    sheet = page.get_by_role("dialog")
    await expect(sheet.get_by_role("heading", name="echo")).to_be_visible()
    await expect(sheet).to_contain_text("guest")
    await expect(sheet).to_contain_text("Tokens in3")
    await expect(sheet).to_contain_text("tell me all")
    # Its address leads whoever may see it there again.
    await page.reload()
    await expect(sheet).to_contain_text("tell me all")
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(page).not_to_have_url(re.compile("call="))


async def test_the_range_is_part_of_the_address(page: Page) -> None:
    await page.goto("/numbers?range=24h")
    await expect(page.get_by_role("radio", name="24 h")).to_be_checked()

    await page.get_by_role("radio", name="7 d").click()

    await expect(page).to_have_url("/numbers?range=7d")
    await expect(page.get_by_text("the last 7 days").first).to_be_visible()

    await page.get_by_role("button", name="Custom range").click()
    form = page.get_by_role("dialog", name="Custom range")
    await form.get_by_label("From").fill("2026-03-02T10:00")
    await form.get_by_label("To").fill("2026-03-01T10:00")
    await form.get_by_role("button", name="Show").click()
    await expect(form.get_by_role("alert")).to_have_text("Must be after the beginning.")
    await form.get_by_label("To").fill("2026-03-03T10:00")
    await form.get_by_role("button", name="Show").click()

    # The clocks are those of the browser, Berlin's.
    await expect(page).to_have_url(re.compile("from=2026-03-02T09(:|%3A)00"))
    await expect(page.get_by_role("heading", name="No calls in 2 Mar")).to_be_visible()


async def test_a_row_narrows_the_page_to_what_is_behind_it(page: Page) -> None:
    await _talk(page, "echo", "error", "length")
    await page.goto("/numbers?by=status")
    await expect(_figure(page, "Calls")).to_contain_text("3")

    await page.get_by_role("button", name="Show only error").click()

    await expect(page).to_have_url(re.compile("status=error"))
    await expect(_calls(page)).to_have_count(1)
    await expect(_figure(page, "Error rate")).to_contain_text("100 %")
    await expect(page.get_by_role("combobox", name="Status")).to_have_value("error")
    await page.go_back()
    await expect(_calls(page)).to_have_count(3)

    await page.get_by_role("combobox", name="Break down by").select_option("Finish reason")
    await page.get_by_role("button", name="Show only length").click()
    await expect(_calls(page)).to_have_count(1)
    # Sums are not kept by reasons: the list alone is narrowed.
    await expect(_figure(page, "Calls")).to_contain_text("3")
    await page.get_by_role("button", name="Do not narrow by finish reason").click()
    await expect(_calls(page)).to_have_count(3)

    await page.get_by_role("combobox", name="Kind").select_option("title")
    await expect(page.get_by_role("heading", name="No such calls in the last hour")).to_be_visible()
    await page.get_by_role("button", name="Show all calls").click()
    await expect(_calls(page)).to_have_count(3)


async def test_every_view_is_a_picture_a_table_and_a_file(page: Page) -> None:
    await _talk(page, "echo", "error")
    await page.goto("/numbers")
    await expect(_calls(page)).to_have_count(2)
    await expect(page.get_by_role("region", name="Calls over time")).to_be_visible()

    # A stretch that is dragged over becomes the range.
    chart = page.locator(".u-over").first
    await chart.scroll_into_view_if_needed()
    width = (await chart.evaluate("(chart) => chart.clientWidth")) - 2
    await chart.hover(position={"x": width / 2, "y": 50})
    await page.mouse.down()
    await chart.hover(position={"x": width * 3 / 4, "y": 50})
    await chart.hover(position={"x": width, "y": 50})
    await page.mouse.up()
    await expect(page).to_have_url(re.compile("range=custom"))
    await expect(page.get_by_text("as it was", exact=True)).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("radio", name="1 h", exact=True)).to_be_checked()

    await (await _menu(page, "Calls over time", "Show as a table")).click()
    table = page.get_by_role("table", name="Calls over time")
    await expect(table.get_by_role("columnheader", name="failed")).to_be_visible()
    await (await _menu(page, "Distribution", "Show as a table")).click()
    await expect(page.get_by_role("table", name="Duration, calls by size")).to_be_visible()

    rows = list(csv.DictReader(io.StringIO(await _download(page, "Calls", "Download CSV"))))
    assert sorted(row["request_model"] for row in rows) == ["echo", "error"]
    series = await _download(page, "Calls over time", "Download JSON")
    assert sum(point["requests"] for point in json.loads(series)["items"]) == 2
    models = await _download(page, "By model", "Download CSV")
    assert len(list(csv.DictReader(io.StringIO(models)))) == 2


async def test_an_admin_sees_all_and_a_user_their_own(
    admin: Page, second_page: Page, services: Services, admin_id: str
) -> None:
    user = ChatPage(second_page)
    await user.open()
    await user.register("counted@example.com")
    await user.send("mine")
    await user.ends("complete")
    await second_page.goto("/numbers")
    # The answer and its conversation's title.
    await expect(_calls(second_page)).to_have_count(2)
    await expect(second_page.get_by_role("combobox", name="User")).to_have_count(0)
    await _calls(second_page).first.click()
    sheet = second_page.get_by_role("dialog")
    await sheet.get_by_role("link", name="Open the conversation").click()
    await expect(user.questions).to_contain_text("mine")

    await publish_all(
        services.queue,
        [
            make_event(),
            make_event(owner_id=admin_id, request_model="gpt-4o", cache_read_input_tokens=400),
        ],
    )
    await admin.goto("/numbers?by=user")
    everybody = admin.get_by_role("region", name="Breakdown")
    await expect(everybody).to_contain_text("Guests and deleted accounts")
    await everybody.get_by_role("button", name="Show only counted@example.com").click()
    await expect(_calls(admin)).to_have_count(2)

    await admin.get_by_role("combobox", name="User").select_option(_ADMIN)
    await expect(_calls(admin)).to_have_count(1)
    await expect(_figure(admin, "Tokens")).to_contain_text("400 from cache")
    await expect(_figure(admin, "Cost")).to_contain_text("$0.00")
    await admin.get_by_role("radio", name="Costliest").click()
    top = admin.get_by_role("region", name="Calls that stand out")
    await expect(top.get_by_role("button", name="Details of the call to gpt-4o")).to_be_visible()


async def test_calls_come_in_live(admin: Page, second_page: Page, services: Services) -> None:
    await publish_all(services.queue, [make_event()])
    await admin.goto("/numbers")
    await admin.get_by_role("button", name="Refresh automatically").click()
    await expect(admin.get_by_text("paused", exact=True)).to_be_visible()
    await admin.get_by_role("switch", name="Live tail").click()
    await expect(admin.get_by_text("following", exact=True)).to_be_visible()

    await _talk(second_page, "reasoning")

    details = _calls(admin).and_(
        admin.get_by_role("button", name="Details of the call to reasoning")
    )
    await expect(details).to_have_count(1)
    await details.click()
    await expect(admin.get_by_role("dialog")).to_contain_text("Forty-two.")


async def test_an_alert_fires_is_silenced_and_goes(
    admin: Page, second_page: Page, console_errors: list[str]
) -> None:
    await admin.goto("/numbers/alerts")
    await admin.get_by_role("button", name="New rule").click()
    form = admin.get_by_role("dialog")
    await form.get_by_label("Name").fill("Failures of one script")
    await form.get_by_label("Fires at (%)").fill("400")
    await form.get_by_label("At least so many calls").fill("1")
    await form.get_by_label("Model").fill("error")
    await form.get_by_role("button", name="Make the rule").click()
    await expect(form.get_by_role("alert")).to_have_text("More than 100 % cannot be.")
    await form.get_by_label("Fires at (%)").fill("10")
    await form.get_by_label("Ends below (%)").fill("20")
    await form.get_by_role("button", name="Make the rule").click()
    await expect(form.get_by_role("alert")).to_contain_text("resolve_threshold")
    # The browser notes the refusal.
    assert "422" in console_errors.pop()
    await form.get_by_label("Ends below (%)").fill("5")
    await form.get_by_role("button", name="Make the rule").click()
    await expect(form).to_be_hidden()
    rule = admin.get_by_role("listitem", name="Failures of one script")
    await expect(rule).to_contain_text("Error rate of error ≥ 10 % over 5 min")

    await _talk(second_page, "error")

    await expect(rule).to_contain_text("firing since")
    await expect(admin.get_by_role("link", name="Alerts 1 firing")).to_be_visible()
    history = admin.get_by_role("table", name="Changes of alerts")
    await expect(history.get_by_role("row", name="Failures of one script")).to_be_visible()

    options = rule.get_by_role("button", name="Options of Failures of one script")
    await options.click()
    await admin.get_by_role("menuitem", name="8 h").click()
    await expect(rule).to_contain_text("silenced until")
    await options.click()
    await admin.get_by_role("menuitem", name="Change").click()
    await form.get_by_label("Severity").select_option("critical")
    await form.get_by_role("button", name="Save").click()
    await expect(rule).to_contain_text("critical")
    await options.click()
    await admin.get_by_role("menuitem", name="Delete…").click()
    await admin.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(rule).to_have_count(0)


async def test_dead_letters_are_shown_tried_again_and_purged(
    admin: Page, services: Services
) -> None:
    await admin.goto("/numbers/pipeline")
    await expect(admin.get_by_text("Every event has arrived.")).to_be_visible()
    await services.queue.publish(b"nothing that ingestion can read")

    await expect(_figure(admin, "Dead letters").locator("p").first).to_have_text("1")
    await admin.get_by_role("button", name="Details of dead letter").click()
    letter = admin.get_by_role("dialog")
    await expect(letter).to_contain_text("nothing that ingestion can read")
    await letter.get_by_role("button", name="Replay").click()
    await expect(admin.get_by_text("Ingestion tries 1 dead letter again.")).to_be_visible()
    await expect(admin.get_by_role("cell", name="2", exact=True)).to_be_visible()

    await admin.get_by_role("button", name="Details of dead letter").click()
    await letter.get_by_role("button", name="Purge").click()
    await letter.get_by_role("button", name="Purge for good?").click()
    await expect(admin.get_by_text("Every event has arrived.")).to_be_visible()


async def test_others_find_no_pipeline(page: Page) -> None:
    for path in ("/numbers/alerts", "/numbers/pipeline"):
        await page.goto(path)
        nothing = page.get_by_role("heading", name="There is nothing at this address")
        await expect(nothing).to_be_visible()


async def test_the_numbers_fit_a_small_screen(admin: Page, services: Services) -> None:
    await publish_all(services.queue, [make_event()])
    await admin.set_viewport_size({"width": 360, "height": 700})
    for path in ("/numbers", "/numbers/alerts", "/numbers/pipeline"):
        await admin.goto(path)
        await expect(admin.get_by_role("navigation", name="Numbers")).to_be_visible()
        if path == "/numbers":
            await expect(_calls(admin).first).to_be_visible()
        await fits(admin.locator("html"))
