"""An API token made and revoked in the browser, and used in between."""

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.hands import choose, choose_row, click_twice
from tests.e2e.site import Site, enter

pytestmark = pytest.mark.browser


def call(site: Site, token: str) -> int:
    request = urllib.request.Request(f"{site.url}/api/provision/token", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_token_is_made_used_and_revoked(own_site: Site, page: Page) -> None:
    enter(page, own_site, "alice", "/settings")
    choose(page, "API tokens")
    page.get_by_role("button", name="Make API token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("billing")
    dialog.get_by_role("combobox", name="Scopes").click()
    page.get_by_role("option", name="mailbox:read").click()
    page.keyboard.press("Tab")
    click_twice(dialog.get_by_role("button", name="Make", exact=True), 300)
    expect(dialog.get_by_text("Copy it now")).to_be_visible()
    token = dialog.get_by_test_id("stCode").inner_text().strip()
    assert call(own_site, token) == 200
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(dialog).to_be_hidden()
    assert token not in page.content()
    choose_row(page, 1)
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The token billing is revoked.")).to_be_visible()
    assert call(own_site, token) == 401
