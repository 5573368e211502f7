"""The mailboxes page with a mail server that runs: passwords tried, mail erased, changes gathered, errors read."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from provision.core.secret import Secret
from provision.ops.sample import MAIN
from provision.services.new_mailbox import NewMailbox
from tests.e2e.hands import (
    PASSWORD,
    SYSTEM,
    dialog,
    file,
    find,
    open_create,
    press,
    ready,
    row,
    select_row,
    settled,
    toast,
)
from tests.e2e.site import Site, enter
from tests.mail.mailhost import MailHost, mail_host
from tests.servers.engine import NoEngine, shared_engine
from tests.servers.rig import ContainerRig
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def dovecot() -> Iterator[MailHost]:
    with mail_host() as host:
        yield host


@pytest.fixture
def container(tmp_path: Path) -> Iterator[ContainerRig]:
    folder = tmp_path / "container"
    folder.mkdir()
    try:
        with shared_engine() as engine:
            rig = ContainerRig(engine, folder)
            let_network_settle()
            yield rig
            rig.remove()
    except NoEngine as reason:
        pytest.skip(f"Left out: {reason}.")


def let_network_settle() -> None:
    """Some seconds after a container has come the machine's addresses change: Chromium then drops what it loads."""
    addresses, since = "", 0.0

    def is_settled() -> bool:
        nonlocal addresses, since
        now = Path("/proc/net/if_inet6").read_text() + Path("/proc/net/route").read_text()
        if now != addresses:
            addresses, since = now, time.monotonic()
        return time.monotonic() - since > 3

    wait_for(is_settled, 30)


# ---- passwords -----------------------------------------------------------------------------


@pytest.mark.mail
def test_a_password_is_tried_at_the_mail_server(alice: Page, company: Site, dovecot: MailHost) -> None:
    server = next(s for s in company.app.queries.servers(SYSTEM) if s.name == "headquarters")
    imap = {"imap_host": "localhost", "imap_port": dovecot.ports["imaps"], "imap_verify": False}
    company.app.services.servers.edit(SYSTEM, server.uid, settings={**server.settings, **imap})
    company.app.services.mailboxes.create(SYSTEM, NewMailbox(f"tried@{MAIN}", Secret(PASSWORD)))
    dovecot.feed(company.volume)
    find(alice, company, f"tried@{MAIN}")
    select_row(alice)
    press(alice, "More")
    alice.get_by_text("Check a password").click()
    dialog(alice).get_by_label("Password", exact=True).fill("Wrong-Horse-9")
    dialog(alice).get_by_role("button", name="Check").click()
    expect(dialog(alice).get_by_text("The mail server refuses this password.")).to_be_visible()
    dialog(alice).get_by_label("Password", exact=True).fill(PASSWORD)
    dialog(alice).get_by_role("button", name="Check").click()
    expect(dialog(alice).get_by_text("The mail server lets it in.")).to_be_visible()
    assert PASSWORD not in company.log.read_text()


# ---- erasing -------------------------------------------------------------------------------


@pytest.mark.engine
def test_deleted_for_good_with_its_mail(own_site: Site, page: Page, container: ContainerRig) -> None:
    address = "gone@erased.example.com"
    write = own_site.app.services
    write.servers.create(SYSTEM, "container", "dms_exec", container.settings, quiet_seconds=0)
    write.domains.create(SYSTEM, "erased.example.com", "container")
    write.mailboxes.create(SYSTEM, NewMailbox(address, Secret(PASSWORD)))
    mail = "/var/mail/erased.example.com/gone"
    container.run("mkdir", "-p", f"{mail}/cur")
    container.run("touch", f"{mail}/cur/1.mail")
    enter(page, own_site, "alice", "/mailboxes")
    find(page, own_site, address)
    select_row(page)
    press(page, "Delete")
    dialog(page).get_by_text("Delete for good").first.click()
    dialog(page).get_by_text("Erase the mail, too. Nobody can bring it back.").click()
    settled(page)
    dialog(page).get_by_role("textbox").fill("DELETE")
    dialog(page).get_by_role("button", name="Delete for good").click()
    toast(page, f"{address} is deleted for good. It is removed from the mail server.")
    assert address not in container.text("postfix-accounts.cf")
    assert container.run("ls", mail).exit_code != 0


def test_a_server_of_files_cannot_erase(alice: Page, company: Site) -> None:
    find(alice, company, f"ben.carter@{MAIN}")
    select_row(alice)
    press(alice, "Delete")
    dialog(alice).get_by_text("Delete for good").first.click()
    expect(dialog(alice).get_by_role("checkbox")).to_be_disabled()
    expect(dialog(alice).get_by_text("cannot be erased from here")).to_be_visible()


# ---- why not yet ---------------------------------------------------------------------------


def test_changes_within_the_quiet_time_wait_for_each_other(own_site: Site, page: Page) -> None:
    server = next(s for s in own_site.app.queries.servers(SYSTEM) if s.name == "headquarters")
    own_site.app.services.servers.edit(SYSTEM, server.uid, quiet_seconds=300)
    enter(page, own_site, "alice", "/mailboxes")
    ready(page)
    open_create(page, f"gathered@{MAIN}").click()
    toast(page, f"gathered@{MAIN} is created.")
    expect(page.get_by_text("Gathered with what else comes within ").first).to_be_visible()
    assert f"gathered@{MAIN}" not in file(own_site)
    page.goto(f"{own_site.url}/sync")
    expect(page.get_by_text("Gathers changes until")).to_be_visible()
    own_site.app.services.servers.edit(SYSTEM, server.uid, quiet_seconds=0)
    wait_for(lambda: f"gathered@{MAIN}" in file(own_site), 30)
    wait_for(lambda: row(own_site, f"gathered@{MAIN}").sync_status == "SYNCED")


def test_a_failed_rows_badge_tells_why(alice: Page, company: Site) -> None:
    find(alice, company, f"info@{MAIN}", sync="FAILED")
    why = "An entry with this address was made on the mail server by somebody else; choose which one counts."
    select_row(alice)
    alice.get_by_test_id("stTooltipIcon").get_by_text("Failed").first.hover()
    expect(alice.get_by_test_id("stTooltipContent").get_by_text(why)).to_be_visible()


def test_a_problem_that_is_cut_is_shown_whole_by_a_double_click(alice: Page, company: Site) -> None:
    find(alice, company, f"info@{MAIN}", sync="FAILED")
    table = alice.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box
    alice.mouse.dblclick(box["x"] + box["width"] - 60, box["y"] + 31 + 15)
    expect(alice.get_by_text("choose which one counts.").locator("visible=true").first).to_be_visible()


# ---- links ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en-GB", pytest.param("ja-JP", marks=pytest.mark.nightly)])
def test_a_link_keeps_its_filters(company: Site, page: Page, language: str) -> None:
    """Through the sign-in, on reload, in another language, and when copied from the page itself."""
    browser = page.context.browser
    assert browser
    with closing(browser.new_context(locale=language)) as context:
        own = context.new_page()
        own.goto(f"{company.url}/mailboxes?mb_status=DISABLED&mb_sort=-used&mb_domain={MAIN}")
        own.locator("input").first.fill("alice")
        own.locator("input[type=password]").fill(PASSWORD)
        own.locator("input[type=password]").press("Enter")
        expect(own.get_by_test_id("stDataFrame")).to_be_visible()
        settled(own)
        for _ in range(2):
            for said in ("mb_status=DISABLED", "mb_sort=-used", f"mb_domain={MAIN}"):
                assert said in own.url
            expect(own.get_by_text("2 mailboxes" if language == "en-GB" else "2 件のメールボックス")).to_be_visible()
            own.reload()
            expect(own.get_by_test_id("stDataFrame")).to_be_visible()
            settled(own)


def test_a_chosen_filter_stands_in_the_link(alice: Page, company: Site) -> None:
    alice.get_by_label("Status", exact=True).first.click()
    alice.get_by_role("option", name="Disabled").click()
    expect(alice.get_by_text("2 mailboxes", exact=True)).to_be_visible()
    alice.wait_for_url("**/mailboxes?mb_status=DISABLED")
    alice.reload()
    expect(alice.get_by_text("2 mailboxes", exact=True)).to_be_visible()


# ---- light and dark ------------------------------------------------------------------------


def test_the_reader_chooses_light_or_dark(alice: Page) -> None:
    page = alice.get_by_test_id("stApp")
    expect(page).to_have_css("background-color", "rgb(255, 255, 255)")
    alice.get_by_test_id("stMainMenu").click()
    alice.get_by_role("menuitemradio", name="Dark").click()
    expect(page).to_have_css("background-color", "rgb(14, 20, 30)")
    for developers in ("Rerun", "Deploy", "Clear cache", "Report a bug", "Get help"):
        expect(alice.get_by_text(developers)).to_have_count(0)
    alice.reload()
    ready(alice)
    expect(page).to_have_css("background-color", "rgb(14, 20, 30)")
