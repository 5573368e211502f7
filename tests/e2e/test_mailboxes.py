"""The mailboxes page in a real browser against a real server process: what is clicked stands in the server's files."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from provision.core.passwords import verify_password
from provision.core.secret import Secret
from provision.ops.sample import MAIN
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox, ProvisionLog
from tests.conftest import HASH
from tests.e2e.hands import (
    PASSWORD,
    SYSTEM,
    click_twice,
    dialog,
    file,
    find,
    leave,
    open_create,
    press,
    ready,
    row,
    select_row,
    settled,
    toast,
)
from tests.e2e.site import Site, enter, serve
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


def made(site: Site, address: str) -> tuple[int, int]:
    """How many rows, and how many times it was asked for."""
    with site.app.database.read() as session:
        rows = session.scalar(select(func.count()).where(Mailbox.address == address))
        asked = (ProvisionLog.operation == "mailbox.create", ProvisionLog.resource_name == address)
        return rows or 0, session.scalar(select(func.count()).where(*asked)) or 0


def stored_hash(site: Site, address: str) -> Secret:
    return Secret(re.search(rf"^{re.escape(address)}\|(.+)$", file(site), re.M)[1])  # type: ignore[index]


# ---- create --------------------------------------------------------------------------------


def test_created_and_on_the_server(alice: Page, company: Site) -> None:
    open_create(alice, "created@example.com").click()
    toast(alice, "created@example.com is created. It is on the mail server.")
    assert verify_password(Secret(PASSWORD), stored_hash(company, "created@example.com"))
    find(alice, company, "created@example.com", sync="SYNCED")


@pytest.mark.parametrize(
    ("typed", "pause_ms"),
    [
        (True, 300),
        (False, 1),
        pytest.param(True, 1, marks=pytest.mark.nightly),
        pytest.param(False, 300, marks=pytest.mark.nightly),
    ],
)
def test_a_double_click_makes_one_mailbox(alice: Page, company: Site, typed: bool, pause_ms: int) -> None:
    address = f"double-{'typed' if typed else 'once'}-{pause_ms}@example.com"
    click_twice(open_create(alice, address, PASSWORD if typed else ""), pause_ms)
    if typed:
        toast(alice, f"{address} is created")
        password = PASSWORD
    else:
        password = dialog(alice).get_by_test_id("stCode").inner_text().strip()
    settled(alice)
    assert made(company, address) == (1, 1)
    assert verify_password(Secret(password), stored_hash(company, address))


def test_a_new_password_is_shown_once(alice: Page, company: Site) -> None:
    find(alice, company, f"ben.carter@{MAIN}")
    select_row(alice)
    press(alice, "Reset password")
    click_twice(alice.get_by_role("button", name="Create new password"), 300)
    password = dialog(alice).get_by_test_id("stCode").inner_text().strip()
    assert verify_password(Secret(password), stored_hash(company, f"ben.carter@{MAIN}"))
    alice.keyboard.press("Escape")
    expect(dialog(alice)).to_be_visible()
    dialog(alice).get_by_role("button", name="Close").click()
    expect(dialog(alice)).to_be_hidden()
    alice.reload()
    ready(alice)
    assert password not in alice.content()
    assert password not in company.log.read_text()
    assert password not in alice.url


def test_a_typed_password(alice: Page, company: Site) -> None:
    find(alice, company, f"chen.wei@{MAIN}")
    select_row(alice)
    press(alice, "Reset password")
    dialog(alice).get_by_text("Type a password", exact=True).click()
    dialog(alice).get_by_label("New password", exact=True).fill("Another-Horse-2")
    dialog(alice).get_by_label("New password again").fill("Another-Horse-2")
    dialog(alice).get_by_role("button", name="Change password").click()
    toast(alice, "is changed. It is on the mail server.")
    assert verify_password(Secret("Another-Horse-2"), stored_hash(company, f"chen.wei@{MAIN}"))


# ---- change --------------------------------------------------------------------------------


def test_edit_and_quota(alice: Page, company: Site) -> None:
    address = f"daniela.rossi@{MAIN}"
    find(alice, company, address)
    select_row(alice)
    press(alice, "Edit")
    dialog(alice).get_by_label("Name").fill("Daniela Bianchi")
    dialog(alice).get_by_label("Quota (MB)", exact=True).fill("3000")
    dialog(alice).get_by_role("button", name="Save").click()
    toast(alice, f"{address} is saved. It is on the mail server.")
    assert f"{address}:3000M" in file(company, "dovecot-quotas.cf")
    assert row(company, address).display_name == "Daniela Bianchi"


def test_two_edit_one_mailbox(alice: Page, company: Site) -> None:
    address = f"emil.novak@{MAIN}"
    find(alice, company, address)
    select_row(alice)
    press(alice, "Edit")
    company.app.services.mailboxes.edit(SYSTEM, row(company, address).uid, display_name="Theirs", quota_bytes=5 << 30)
    dialog(alice).get_by_label("Name").fill("Mine")
    dialog(alice).get_by_role("button", name="Save").click()
    expect(dialog(alice).get_by_text("Somebody else has changed this meanwhile.")).to_be_visible()
    for value in ("Theirs", "Mine", "5,120", "2,048"):
        expect(dialog(alice).get_by_role("table").get_by_text(value, exact=True)).to_be_visible()
    assert row(company, address).display_name == "Theirs"
    dialog(alice).get_by_role("button", name="Save").click()
    toast(alice, "is saved")
    assert row(company, address).display_name == "Mine"


def test_disable_and_enable(alice: Page, company: Site) -> None:
    address = f"fatima.khan@{MAIN}"
    before = stored_hash(company, address)
    find(alice, company, address)
    select_row(alice)
    press(alice, "Disable")
    toast(alice, "disabled. The change is on the mail server.")
    assert stored_hash(company, address) != before
    find(alice, company, address, status="DISABLED")
    select_row(alice)
    press(alice, "Enable")
    toast(alice, "enabled.")
    assert stored_hash(company, address) == before


def test_soft_delete_and_restore(alice: Page, company: Site) -> None:
    address = f"goro.ito@{MAIN}"
    find(alice, company, address)
    select_row(alice)
    press(alice, "Delete")
    dialog(alice).get_by_role("button", name="Delete", exact=True).click()
    toast(alice, "1 mailbox is deleted")
    assert "fail=y" in next(line for line in file(company).splitlines() if line.startswith(address))
    find(alice, company, address, status="DELETED")
    select_row(alice)
    press(alice, "Restore")
    toast(alice, "1 mailbox is restored")
    assert (row(company, address).status, row(company, address).sync_status) == ("ACTIVE", "SYNCED")


def test_deleted_for_good(alice: Page, company: Site) -> None:
    address = f"anna.abe@{MAIN}"
    find(alice, company, address)
    select_row(alice)
    press(alice, "Delete")
    dialog(alice).get_by_text("Delete for good").first.click()
    expect(dialog(alice).get_by_text("who gets this address later would see the old mail")).to_be_visible()
    expect(dialog(alice).get_by_text("postmaster@example.com")).to_be_visible()
    action = dialog(alice).get_by_role("button", name="Delete for good")
    expect(action).to_be_disabled()
    dialog(alice).get_by_role("textbox").fill("DELETE")
    expect(action).to_be_enabled()
    action.click()
    toast(alice, f"{address} is deleted for good. It is removed from the mail server.")
    assert address not in file(company)
    assert "postmaster@" not in file(company, "postfix-virtual.cf")


def test_a_deletion_that_was_closed_is_not_confirmed_when_it_is_opened_again(alice: Page, company: Site) -> None:
    find(alice, company, f"hanna.berg@{MAIN}")
    select_row(alice)
    for _time in range(2):
        press(alice, "Delete")
        dialog(alice).get_by_text("Delete for good").first.click()
        action = dialog(alice).get_by_role("button", name="Delete for good")
        expect(action).to_be_disabled()
        dialog(alice).get_by_role("textbox").fill("DELETE")
        expect(action).to_be_enabled()
        leave(alice)


def test_a_password_that_was_typed_is_not_there_for_the_next_mailbox(alice: Page, company: Site) -> None:
    for address in (f"chen.wei@{MAIN}", f"daniela.rossi@{MAIN}"):
        find(alice, company, address)
        select_row(alice)
        press(alice, "Reset password")
        dialog(alice).get_by_text("Type a password", exact=True).click()
        password = dialog(alice).get_by_label("New password", exact=True)
        expect(password).to_have_value("")
        password.fill("Another-Horse-2")
        leave(alice)
        press(alice, "Reset password")
        expect(password).to_be_hidden()
        dialog(alice).get_by_text("Type a password", exact=True).click()
        expect(password).to_have_value("")


def test_what_is_typed_is_not_lost_by_a_click_beside_it(alice: Page, company: Site) -> None:
    open_create(alice, "typed@example.com", "short")
    address = dialog(alice).get_by_label("Address")
    alice.mouse.click(5, 300)
    alice.keyboard.press("Escape")
    settled(alice)
    expect(address).to_have_value("typed@example.com")
    address.press("Enter")  # which presses Create, not Cancel
    expect(dialog(alice).get_by_role("alert")).to_be_visible()
    expect(address).to_have_value("typed@example.com")
    leave(alice)
    press(alice, "Create mailbox")
    expect(address).to_have_value("")
    leave(alice)


# ---- the server is down --------------------------------------------------------------------


def test_down_then_pending_then_retried_then_synced(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path, POSTROOM_RETRY_BASE_SECONDS="900") as site:  # nothing but the button tries again
        enter(page, site, "alice", "/mailboxes")
        ready(page)
        away = site.volume.with_name("away")
        site.volume.rename(away)
        open_create(page, "waits@example.com").click()
        toast(page, "waits@example.com is created.")
        expect(page.get_by_text("The mail server headquarters cannot be reached").first).to_be_visible()
        expect(page.get_by_text("1 change is kept and goes out by itself")).to_be_visible()
        find(page, site, "waits@example.com", sync="PENDING")
        select_row(page)
        press(page, "Details")
        expect(dialog(page).get_by_text("Next attempt").first).to_be_visible()
        expect(dialog(page).get_by_text("The mail server headquarters cannot be reached").first).to_be_visible()
        assert "mb_open=" in page.url
        page.keyboard.press("Escape")
        expect(dialog(page)).to_be_hidden()
        away.rename(site.volume)
        find(page, site, "waits@example.com", sync="PENDING")
        select_row(page)
        press(page, "Retry")
        wait_for(lambda: "waits@example.com" in file(site))
        wait_for(lambda: row(site, "waits@example.com").sync_status == "SYNCED")


# ---- selection -----------------------------------------------------------------------------


def test_a_selection_stays_with_its_rows(alice: Page, company: Site) -> None:
    select_row(alice)
    expect(alice.get_by_role("button", name="Delete", exact=True)).to_be_enabled()
    alice.get_by_label("Search", exact=True).first.fill("carter")
    expect(alice.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    expect(alice.get_by_text("selected")).to_have_count(0)
    select_row(alice)
    alice.get_by_label("Search", exact=True).first.fill("")
    settled(alice)
    expect(alice.get_by_text("selected")).to_have_count(0)


def test_selection_does_not_leak_to_another_page(alice: Page, company: Site) -> None:
    more = [NewMailbox(f"many{n:02}@example.com", password_hash=HASH) for n in range(60)]
    company.app.services.bulk.create(SYSTEM, more)
    alice.reload()
    ready(alice)
    select_row(alice)
    alice.get_by_test_id("stPagination").get_by_text("2", exact=True).click()
    settled(alice)
    expect(alice.get_by_text("selected")).to_have_count(0)
    expect(alice.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    assert "mb_page=2" in alice.url


# ---- roles ---------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_viewer_looks_only(page: Page, company: Site) -> None:
    enter(page, company, "vera", "/mailboxes")
    ready(page)
    for name in ("Create mailbox", "Import CSV", "Edit", "Delete", "Disable", "Reset password"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)


def test_a_link_survives_the_sign_in(page: Page, company: Site) -> None:
    enter(page, company, "alice", "/mailboxes?mb_q=kenji&mb_sort=-used")
    ready(page)
    expect(page.get_by_label("Search", exact=True).first).to_have_value("kenji")
    assert "mb_sort=" in page.url
