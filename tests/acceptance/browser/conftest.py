"""Fixtures of the browser tests: the whole stack as a process, and Debian's Chromium before it.

The stack is the one behind ``make up``, over the session's PostgreSQL and Valkey, with the
scripted provider. A page that writes an error to its console fails its test.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.acceptance.browser.cable import Cable
from tests.acceptance.browser.storyteller import Storyteller

_CHECKOUT = Path(__file__).parents[3]
_RESULTS = _CHECKOUT / "test-results"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Seconds, for a start that takes about 3 on two idle cores.
_START_TIMEOUT = 240.0


def _delay(component: str, name: str) -> str:
    """Return the milliseconds that a component of the page gives something to be seen."""
    source = (_CHECKOUT / f"web/src/components/{component}.tsx").read_text()
    [delay] = re.findall(rf"^const {name} = ([\d_]+);$", source, re.MULTILINE)
    assert re.search(rf"setTimeout\(.*, {name}\);", source), name
    return delay


# What goes away by itself, a toast or a question, stays until the test has pressed it.
_STAY = f"""
const later = window.setTimeout;
const delays = [{_delay("confirm-button", "ASKS_FOR")}, {_delay("toaster", "SHOWN_FOR")}];
window.setTimeout = (run, delay, ...rest) =>
  later(run, delays.includes(delay) ? 1_000_000 : delay, ...rest);
"""
# Milliseconds for what takes a moment on an idle machine.
_PATIENCE = 120_000

# Messages that a guest of these tests may send.
GUEST_LIMIT = 4


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


_failed = pytest.StashKey[bool]()


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """Settings of the stack beside the usual ones; a module that needs some has its own."""
    return {}


@pytest.fixture(scope="session")
async def story() -> AsyncIterator[Storyteller]:
    """A model of every stack but those with providers of their own; it goes on when told to."""
    async with Storyteller() as story:
        yield story


@pytest.fixture(scope="module")
async def stack(
    module_database_url: str,
    module_valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    story: Storyteller,
    stack_settings: dict[str, str],
) -> AsyncIterator[str]:
    """Address of the running stack."""
    environment = {
        **os.environ,
        "TAILRACE_PORT": "0",
        "TAILRACE_DATA_DIR": str(tmp_path_factory.mktemp("stack")),
        "TAILRACE_DATABASE_URL": module_database_url,
        "TAILRACE_REDIS_URL": module_valkey_url,
        "TAILRACE_PROVIDERS": json.dumps(
            [{"name": "scripted", "kind": "scripted"}, story.provider]
        ),
        "TAILRACE_DEFAULT_MODEL": "scripted/echo",
        "TAILRACE_GUEST_LIMIT": str(GUEST_LIMIT),
        "TAILRACE_GUEST_ADDRESS_LIMIT": "1000",
        **stack_settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "localstack.embedded",
        "--end-with-parent",
        cwd=_CHECKOUT,
        env=environment,
        stdin=DEVNULL,
        stdout=PIPE,
    )
    try:
        yield await asyncio.wait_for(_address(process), _START_TIMEOUT)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        _, found, address = line.decode().partition("http://")
        if found:
            return f"http://{address.strip()}"
    raise RuntimeError(f"the stack did not start: exit code {await process.wait()}")


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser, started once; each test has a context of its own in it."""
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None:
        pytest.fail("the browser tests need Chromium: make browser")
    expect.set_options(timeout=_PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=_ARGUMENTS, timeout=_PATIENCE
        )
        yield browser
        await browser.close()


@pytest.fixture
def console_errors() -> list[str]:
    """What the pages complained of; a test that provokes a complaint takes it out."""
    return []


@pytest.fixture
async def page(
    chromium: Browser, stack: str, console_errors: list[str], request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    """A blank page of a browser that was never here; complaints on its console fail the test."""
    async with _new_page(chromium, stack, console_errors, request) as page:
        yield page


@pytest.fixture
async def second_page(
    chromium: Browser, stack: str, console_errors: list[str], request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    """Another person's `page`."""
    async with _new_page(chromium, stack, console_errors, request) as page:
        yield page


@asynccontextmanager
async def _new_page(
    browser: Browser, address: str, errors: list[str], request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    page = await browser.new_page(
        base_url=address,
        viewport={"width": 1440, "height": 900},
        color_scheme="dark",
        # What moves is painted sixty times a second, by the processor that serves the stack.
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    page.set_default_timeout(_PATIENCE)
    await page.add_init_script(_STAY)
    page.on("pageerror", lambda error: errors.append(str(error)))

    def note(line: ConsoleMessage) -> None:
        # The browser itself notes each connection that broke.
        is_expected = "cable" in request.fixturenames and "net::ERR_" in line.text
        if line.type == "error" and not is_expected:
            errors.append(line.text)

    page.on("console", note)
    yield page
    failed = request.node.stash.get(_failed, False)
    if failed:
        await page.screenshot(path=_RESULTS / f"{request.node.name}.png")
    await page.close()
    assert failed or errors == []


@pytest.fixture
async def cable(stack: str) -> AsyncIterator[Cable]:
    """A connection to the stack that the test can pull out."""
    async with Cable(stack) as cable:
        yield cable
