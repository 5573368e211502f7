"""Sync in a real browser: mend and retry, import, differences resolved either way, the alarm."""

import pytest
from playwright.sync_api import Page, expect

from provision.core.access import Actor
from provision.storage.models import SyncStatus
from tests.e2e.hands import a_run, choose, choose_row
from tests.e2e.site import Site, enter

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("test")
COMPARE = "/sync?sy_part=compare&sy_server=headquarters"


def replace(site: Site, name: str, old: str, new: str) -> None:
    """Somebody changes a file of the mail server by hand."""
    path = site.volume / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def preview(page: Page, kind: str, meaning: str) -> None:
    with a_run(page):
        page.get_by_role("button", name="Preview").click()
    choose(page, kind)
    expect(page.get_by_text(meaning)).to_be_visible()


def confirm(page: Page, button: str, word: str = "") -> None:
    dialog = page.get_by_role("dialog")
    if word:
        expect(dialog.get_by_role("button", name=button)).to_be_disabled()
        dialog.get_by_role("textbox").fill(word)
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_be_hidden()


def test_from_what_clashes_to_both_its_sides(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/sync?sy_status=FAILED")
    choose_row(page, 1)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("radio", name="Clashes 1")).to_be_visible()
    assert "sy_part=compare" in page.url


def test_what_failed_is_mended_retried_and_synced(own_site: Site, page: Page) -> None:
    enter(page, own_site, "alice", "/sync?sy_status=FAILED")
    lines = (own_site.volume / "postfix-accounts.cf").read_text().splitlines(keepends=True)
    (own_site.volume / "postfix-accounts.cf").write_text(
        "".join(line for line in lines if not line.startswith("info@"))
    )
    choose_row(page, 1)
    expect(page.get_by_text("choose which one counts").last).to_be_visible()
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(
        page.get_by_text("info@example.com is done on the mail server. Tried again; still waiting: 7.")
    ).to_be_visible()
    assert own_site.app.queries.mailbox_by_address(SYSTEM, "info@example.com").sync_status == SyncStatus.SYNCED
    expect(page.get_by_text("Everything has reached the mail servers.")).to_be_visible()


def test_import_adds_what_is_unknown_and_says_what_it_left_alone(own_site: Site, page: Page) -> None:
    accounts = own_site.volume / "postfix-accounts.cf"
    first = accounts.read_text().splitlines()[0].partition("|")[2]
    accounts.write_text(accounts.read_text() + f"Bad.Case@example.com|{first}\n")
    enter(page, own_site, "alice", COMPARE)
    page.get_by_role("button", name="Import …").click()
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    expect(page.get_by_text("Imported: 1. Left alone: 1.")).to_be_visible()
    expect(page.get_by_text("it has capital letters")).to_be_visible()
    row = own_site.app.queries.mailbox_by_address(SYSTEM, "scanner@example.com")
    assert row.sync_status == SyncStatus.SYNCED


def test_differences_are_resolved_either_way(own_site: Site, page: Page) -> None:
    replace(own_site, "dovecot-quotas.cf", "anna.abe@example.com:2048M", "anna.abe@example.com:5120M")
    replace(own_site, "postfix-virtual.cf", "jobs@example.com ben.carter@", "jobs@example.com mei.lin@")
    enter(page, own_site, "alice", COMPARE)
    preview(page, "Differs", "since the dashboard delivered it")
    choose_row(page, 1)  # anna's quota
    page.get_by_role("button", name="Server wins", exact=True).click()
    confirm(page, "Server wins")
    expect(page.get_by_text("Settled: 1.")).to_be_visible()
    assert own_site.app.queries.mailbox_by_address(SYSTEM, "anna.abe@example.com").quota_bytes == 5 << 30

    preview(page, "Differs", "since the dashboard delivered it")
    choose_row(page, 1)  # the alias
    page.get_by_role("button", name="Dashboard wins", exact=True).click()
    confirm(page, "Dashboard wins")
    expect(page.get_by_role("radio", name="Differs")).to_be_hidden()
    assert "jobs@example.com ben.carter@example.com" in (own_site.volume / "postfix-virtual.cf").read_text()


def test_an_unknown_account_is_removed_after_typing(own_site: Site, page: Page) -> None:
    enter(page, own_site, "alice", COMPARE)
    preview(page, "Unknown here", "not known to the dashboard")
    choose_row(page, 1)
    page.get_by_role("button", name="Remove from server").click()
    expect(page.get_by_role("dialog").get_by_text("the passwords are lost")).to_be_visible()
    confirm(page, "Remove from server", "DELETE")
    expect(page.get_by_role("radio", name="Unknown here")).to_be_hidden()
    assert "scanner@" not in (own_site.volume / "postfix-accounts.cf").read_text()


def test_an_unsafe_plan_halts_until_a_super_admin_types_the_name(own_site: Site, page: Page) -> None:
    accounts = own_site.volume / "postfix-accounts.cf"
    accounts.write_text("".join(accounts.read_text().splitlines(keepends=True)[:4]))
    anna = own_site.app.queries.mailbox_by_address(SYSTEM, "anna.abe@example.com")
    own_site.app.services.mailboxes.edit(SYSTEM, anna.uid, quota_bytes=3 << 30)
    enter(page, own_site, "alice", "/sync")
    expect(page.get_by_text("are missing there and 0 would be deleted").first).to_be_visible()
    page.get_by_role("button", name="Send anyway …").click()
    confirm(page, "Send anyway", "headquarters")
    expect(page.get_by_text("1 delivered.")).to_be_visible()
    expect(page.get_by_text("Halted: headquarters")).to_be_hidden()
    assert "anna.abe@example.com:3072M" in (own_site.volume / "dovecot-quotas.cf").read_text()
    (record,) = [r for r in own_site.app.queries.logs(SYSTEM).rows if r["operation"] == "sync.force"]
    assert record["operator"] == "alice"


def test_a_viewer_sees_no_actions_and_an_unreachable_server_is_a_sentence(site: Site, page: Page) -> None:
    enter(page, site, "vera", "/sync?sy_part=compare&sy_server=branch")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_test_id("stAlert").get_by_text("There is no folder")).to_be_visible()
    expect(page.get_by_role("button", name="Import …")).to_be_hidden()
    choose(page, "Waiting")
    expect(page.get_by_text("8 waiting")).to_be_visible()
    expect(page.get_by_role("button", name="Retry all")).to_be_hidden()


def test_the_page_refreshes_itself(own_site: Site, page: Page) -> None:
    enter(page, own_site, "alice", "/sync")
    expect(page.get_by_text("8 waiting")).to_be_visible()
    alias = own_site.app.services.aliases.create(SYSTEM, "late@example.org", ["anna.abe@example.com"])
    assert alias.sync_status == SyncStatus.PENDING
    expect(page.get_by_text("9 waiting")).to_be_visible()
