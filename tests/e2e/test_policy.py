"""Rules changed in the browser hold for the next person at once, and are the default again when a box is emptied."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.hands import choose
from tests.e2e.site import Site, enter

pytestmark = pytest.mark.browser


def edit_rules(page: Page) -> None:
    page.get_by_role("button", name="Edit rules").click()
    expect(page.get_by_role("dialog").get_by_role("spinbutton", name="Fewest characters")).to_be_visible()


def test_a_rule_is_changed_obeyed_and_taken_back(own_site: Site, page: Page, chromium: Browser) -> None:
    enter(page, own_site, "alice", "/settings")
    choose(page, "Rules")
    edit_rules(page)
    least = page.get_by_role("dialog").get_by_role("spinbutton", name="Fewest characters")
    least.fill("20")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("The rules are saved.")).to_be_visible()
    expect(page.get_by_text("20 to 32 characters, with 3 of")).to_be_visible()

    dora = chromium.new_page()
    enter(dora, own_site, "dora", "/mailboxes")
    dora.get_by_role("button", name="Create mailbox").click()
    dialog = dora.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Address").fill("new.person@example.com")
    dialog.get_by_role("textbox", name="Password", exact=True).fill("Correct-Horse-1")
    dialog.get_by_role("textbox", name="Password again").fill("Correct-Horse-1")
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(dialog.get_by_text("The password needs 20 to 32 characters; this one has 15.")).to_be_visible()
    dora.close()

    edit_rules(page)
    expect(least).to_have_value("20")
    least.fill("")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("8 to 32 characters, with 3 of")).to_be_visible()
    assert own_site.app.services.policy.now().password_min_length == 8
