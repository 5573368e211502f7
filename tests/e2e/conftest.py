"""One browser and one seeded site for all browser tests; a fresh context for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.hands import ready
from tests.e2e.site import Site, launch, serve, sign_in

expect.set_options(timeout=20_000)  # a busy machine is no fault


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Shared by all tests that leave it as they found it."""
    with serve(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A process and a database of the test's own."""
    with serve(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Berlin")
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One process for the tests of a file; each uses mailboxes of its own."""
    with serve(tmp_path_factory.mktemp("company")) as running:
        yield running


@pytest.fixture
def alice(page: Page, company: Site) -> Page:
    """The mailboxes page, signed in as a SuperAdmin."""
    sign_in(page, company, "alice", "/mailboxes")
    ready(page)
    return page
