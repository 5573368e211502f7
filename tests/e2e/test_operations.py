"""Overview, logs, settings and one's own password, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from provision.core.access import Actor
from tests.e2e.hands import choose, choose_row
from tests.e2e.site import PASSWORD, Site, enter, fill_sign_in, serve

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("test")


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, level=1)).to_be_visible(timeout=20_000)


@pytest.mark.parametrize(
    ("link", "title", "expected"),
    [
        pytest.param("Show all", "Mailboxes", "", marks=pytest.mark.nightly),
        ("What failed", "Sync", "sy_status=FAILED"),
        pytest.param("What waits", "Sync", "sy_status=PENDING", marks=pytest.mark.nightly),
        pytest.param("The whole log", "Logs", "", marks=pytest.mark.nightly),
    ],
)
def test_each_number_leads_to_its_list(site: Site, page: Page, link: str, title: str, expected: str) -> None:
    enter(page, site, "alice")
    page.get_by_role("link", name=link).click()
    heading(page, title)
    assert expected in page.url


def test_a_log_row_shows_its_command(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/logs?lg_operation=mailbox.create&lg_status=SUCCESS")
    heading(page, "Logs")
    choose_row(page, 1)
    expect(page.get_by_text("Exit code")).to_be_visible()
    expect(page.get_by_text("postfix-accounts.cf").first).to_be_visible()
    assert "{SHA512-CRYPT}$" not in page.content()


def test_a_link_narrows_the_log(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/logs?lg_status=FAILED")
    heading(page, "Logs")
    expect(page.get_by_text("1 operation")).to_be_visible()


def test_the_audit_chain_is_verified(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/logs")
    page.get_by_role("button", name="Verify audit chain").click()
    expect(page.get_by_role("dialog").get_by_text(re.compile("Intact: .* links"))).to_be_visible()


def test_settings_of_one_server_are_not_those_of_the_next(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/settings")
    choose_row(page, 1)
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").first.fill("somewhere/else")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("must begin with /")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Add mail server").click()
    expect(dialog.get_by_label("Name")).to_be_visible()
    assert "somewhere/else" not in [box.input_value() for box in dialog.get_by_role("textbox").all()]


def test_an_operator_is_added_and_signs_in(company: Site, page: Page) -> None:
    enter(page, company, "alice", "/settings")
    choose(page, "Operators")
    page.get_by_role("button", name="Add operator").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("bob")
    dialog.get_by_role("button", name="Add", exact=True).dblclick()
    expect(dialog.get_by_text("Copy it now")).to_be_visible()
    password = dialog.get_by_test_id("stCode").inner_text().strip()
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(dialog).to_be_hidden()
    assert password not in page.content()
    expect(page.get_by_text("4 operators")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    heading(page, "Postroom")
    fill_sign_in(page, "bob", password)
    heading(page, "Choose your password")


def test_a_mail_server_is_tested(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/settings")
    heading(page, "Settings")
    choose_row(page, 1)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("alert").get_by_text("There is no folder /srv/branch/mail-config")).to_be_visible()
    choose_row(page, 2)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("headquarters answers, and its settings are right.")).to_be_visible()


def test_a_mail_server_that_has_domains_is_kept(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/settings")
    heading(page, "Settings")
    choose_row(page, 1)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alert").get_by_text("delete its domains first")).to_be_visible()


def test_a_mail_server_is_added(company: Site, page: Page) -> None:
    enter(page, company, "alice", "/settings")
    page.get_by_role("button", name="Add mail server").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("second")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_text("needs the setting")).to_be_visible()
    dialog.get_by_role("textbox", name="folder that is mounted").fill("/srv/second")
    dialog.get_by_role("button", name="Add", exact=True).dblclick()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("The mail server second is added.")).to_be_visible()
    assert [server.name for server in company.app.queries.servers(SYSTEM)].count("second") == 1


def test_ones_own_password_is_changed(company: Site, page: Page) -> None:
    enter(page, company, "vera")
    page.get_by_role("button", name="Change password").click()
    dialog = page.get_by_role("dialog")
    for label, text in (("Old password", PASSWORD), ("New password", "Other-Horse-2"), ("New password again", "other")):
        dialog.get_by_label(label, exact=True).fill(text)
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_text("The two new passwords are not the same.")).to_be_visible()
    dialog.get_by_label("New password again", exact=True).fill("Other-Horse-2")
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()


@pytest.mark.nightly
def test_other_networks_are_refused(tmp_path, page: Page) -> None:  # type: ignore[no-untyped-def]
    with serve(tmp_path, seeded=False, POSTROOM_ALLOWED_NETWORKS="10.0.0.0/8") as site:
        answer = page.goto(site.url)
        assert answer is not None
        assert answer.status == 403


def test_the_database_gone_is_a_sentence(own_site: Site, page: Page) -> None:
    enter(page, own_site, "vera")
    with own_site.app.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=1000")
        connection.exec_driver_sql("ALTER TABLE admin_session RENAME TO gone")
        connection.commit()
    page.reload()
    expect(page.get_by_text(re.compile("The database cannot be used now|Something went wrong here"))).to_be_visible()
    assert "Traceback" not in page.content()
