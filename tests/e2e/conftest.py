"""Seeded sites for the browser tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import opened
from tests.e2e.hands import ready
from tests.e2e.site import Site, serve, sign_in


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


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One process for the tests of a file; each uses mailboxes of its own."""
    with serve(tmp_path_factory.mktemp("company")) as running:
        yield running


@pytest.fixture(scope="module")
def alices_browser(chromium: Browser, company: Site) -> Iterator[BrowserContext]:
    """One sign-in and one cache for the tests of a file."""
    with opened(chromium) as context:
        sign_in(context.new_page(), company, "alice")
        yield context


@pytest.fixture
def alice(alices_browser: BrowserContext, company: Site) -> Iterator[Page]:
    """The mailboxes page, signed in as a SuperAdmin."""
    page = alices_browser.new_page()
    page.goto(f"{company.url}/mailboxes")
    ready(page)
    yield page
    page.close()
