"""Seeded sites for the browser tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import opened
from tests.e2e.hands import ready
from tests.e2e.site import Site, enter, serve


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
def alices_page(chromium: Browser, company: Site) -> Iterator[Page]:
    """One sign-in and one window for the tests of a file: half of the time of a new one is Chromium's."""
    with opened(chromium) as context:
        page = context.new_page()
        enter(page, company, "alice")
        yield page


@pytest.fixture
def alice(alices_page: Page, company: Site) -> Page:
    """The mailboxes page, signed in as a SuperAdmin, in a session of its own."""
    alices_page.goto(f"{company.url}/mailboxes")
    ready(alices_page)
    return alices_page
