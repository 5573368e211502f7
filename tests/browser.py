"""One browser for all tests of a run, wherever they are, and a fresh context for each: Playwright allows but one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.site import launch

expect.set_options(timeout=20_000)  # a busy machine is no fault


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser of one person."""
    made = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Berlin")
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture(scope="session")
def one_context(chromium: Browser) -> Iterator[BrowserContext]:
    with opened(chromium) as made:
        yield made


@pytest.fixture
def context(one_context: BrowserContext) -> Iterator[BrowserContext]:
    """The same for all tests, without what one leaves but for Streamlit's own files: to fetch them costs a second."""
    yield one_context
    for page in one_context.pages:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear(); sessionStorage.clear()")
        page.close()
    one_context.clear_cookies()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
