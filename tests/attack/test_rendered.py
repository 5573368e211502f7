"""What others typed, as a real browser shows it: text, and nothing but text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from provision.core.access import Role
from provision.core.secret import Secret
from provision.services.new_mailbox import NewMailbox
from tests.attack.conftest import SYSTEM
from tests.attack.naughty import HOST, MARKUP
from tests.conftest import HASH
from tests.e2e.site import CHROMIUM, PASSWORD, Site, enter

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed.")]
FOREIGN = f"a[href*='{HOST}'], img[src*='{HOST}'], iframe, [src*='{HOST}'], [style*='{HOST}'], script[src*='{HOST}']"
TYPED = [text for text in MARKUP if text.isprintable()]


@pytest.fixture(scope="module")
def page(site: Site, chromium: Browser) -> Iterator[Page]:
    """A SuperAdmin's page, in a place where everything has a naughty name."""
    write = site.app.services
    for number, text in enumerate(TYPED):
        write.mailboxes.create(SYSTEM, NewMailbox(f"n{number}@example.com", password_hash=HASH, display_name=text))
        site.app.services.tokens.create(SYSTEM, text[:70], ["mailbox:read"])
    domain = site.app.queries.domain_by_name(SYSTEM, "example.com")
    write.domains.edit(SYSTEM, domain.uid, description=f"![x](http://{HOST}/x.png) http://{HOST} :red[x]")
    write.servers.create(
        SYSTEM,
        f"http://{HOST} -> :material/delete:",
        "dms_files",
        {"path": f"/http://{HOST}/![x](http://{HOST}/y.png)"},
    )
    write.operators.create(
        SYSTEM,
        "naughty",
        Role.SUPER_ADMIN,
        display_name=f"<b>www.{HOST}</b> :material/delete:",
        password=Secret(PASSWORD),
    )
    found = chromium.new_page()
    asked: list[str] = []
    found.on("request", lambda request: asked.append(request.url))
    enter(found, site, "naughty")
    yield found
    assert [url for url in asked if HOST in url] == []
    found.close()


@pytest.mark.parametrize(
    "path",
    ["", "mailboxes", "aliases", "domains", "sync?sy_part=compare", "logs", "settings", "settings?st_part=tokens"],
)
def test_nothing_leads_to_another_host(site: Site, page: Page, path: str) -> None:
    page.goto(f"{site.url}/{path}")
    page.get_by_role("button", name="Sign out").wait_for()
    page.wait_for_timeout(700)
    assert page.locator(FOREIGN).count() == 0
    assert f"<b>www.{HOST}</b> :material/delete:" in page.locator("[data-testid=stSidebar]").inner_text()


@pytest.mark.parametrize(
    "text", [f"http://{HOST}/a", ":material/delete:", "a -> b <- c -- d", f'<img src="http://{HOST}/x">']
)
def test_a_name_is_shown_as_it_was_typed(site: Site, page: Page, text: str) -> None:
    uid = site.app.queries.mailbox_by_address(SYSTEM, f"n{TYPED.index(text)}@example.com").uid
    page.goto(f"{site.url}/mailboxes?mb_open={uid}")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Last sync").wait_for()
    assert text in dialog.inner_text()
    assert page.locator(FOREIGN).count() == 0
