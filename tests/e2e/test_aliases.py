"""Aliases and domains in a real browser, down to the files of the mail server."""

import pytest
from playwright.sync_api import Locator, Page, expect

from provision.core.access import Actor
from provision.queries import LogFilter
from tests.e2e.hands import choose_row, click_row
from tests.e2e.site import Site, enter

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("test")


def add_alias(page: Page, address: str, destinations: str) -> Locator:
    page.get_by_role("button", name="Add alias").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Alias").fill(address)
    dialog.get_by_role("textbox", name="Goes to").fill(destinations)
    dialog.get_by_role("button", name="Add", exact=True).click()
    return dialog


def virtual(site: Site) -> list[str]:
    return (site.volume / "postfix-virtual.cf").read_text().splitlines()


def test_an_alias_with_two_destinations_reaches_the_server_is_edited_and_deleted(company: Site, page: Page) -> None:
    enter(page, company, "alice", "/aliases")
    add_alias(page, "desk@example.com", "anna.abe@example.com\nhelp@partner.example.net")
    expect(page.get_by_text("desk@example.com is saved. It is on the mail server.")).to_be_visible()
    assert "desk@example.com anna.abe@example.com,help@partner.example.net" in virtual(company)

    page.goto(company.url + "/aliases?al_q=desk")
    choose_row(page, 1)
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Goes to").fill("ben.carter@example.com, help@partner.example.net")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert "desk@example.com ben.carter@example.com,help@partner.example.net" in virtual(company)

    choose_row(page, 1)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No alias matches.")).to_be_visible()
    assert not [line for line in virtual(company) if line.startswith("desk@")]


def test_a_catch_all_warns_before_it_is_made(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/aliases")
    page.get_by_role("button", name="Add alias").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Alias").fill("@example.com")
    expect(dialog.get_by_text("A catch-all takes the mail for every address of example.com")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()


def test_the_second_editor_is_told_with_both_values(company: Site, page: Page) -> None:
    enter(page, company, "alice", "/aliases?al_q=jobs")
    choose_row(page, 1)
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Goes to").fill("mei.lin@example.com")
    row = company.app.queries.alias_by_address(SYSTEM, "jobs@example.com")
    company.app.services.aliases.edit(SYSTEM, row.uid, ["chen.wei@example.com"])
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Somebody else has changed this meanwhile")).to_be_visible()
    expect(dialog.get_by_text("chen.wei@example.com", exact=True).last).to_be_visible()
    expect(dialog.get_by_text("mei.lin@example.com", exact=True).last).to_be_visible()
    row = company.app.queries.alias_by_address(SYSTEM, "jobs@example.com")
    assert row.destinations == ["chen.wei@example.com"]
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    row = company.app.queries.alias_by_address(SYSTEM, "jobs@example.com")
    assert row.destinations == ["mei.lin@example.com"]


def test_a_foreign_domain_admin_is_denied_and_recorded(company: Site, page: Page) -> None:
    enter(page, company, "dora", "/aliases")
    dialog = add_alias(page, "mine@sales.example.com", "dora@elsewhere.example.net")
    expect(dialog.get_by_text("is in a domain that is not yours")).to_be_visible()
    record = company.app.queries.logs(SYSTEM, LogFilter(operator="dora")).rows[0]
    assert (record["operation"], record["error"]) == ("alias.create", "INSUFFICIENT_PERMISSION")
    assert not [line for line in virtual(company) if line.startswith("mine@")]


def test_nonsense_is_a_sentence(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/aliases")
    dialog = add_alias(page, "a b|c", "nobody")
    expect(dialog.get_by_test_id("stAlert")).to_be_visible()
    assert "Traceback" not in page.content()


def test_from_a_domain_to_its_aliases_with_one_click(site: Site, page: Page) -> None:
    enter(page, site, "alice", "/domains")
    click_row(page, 3, 335)
    page.wait_for_url("**/aliases?al_domain=sales.example.com")
    expect(page.get_by_text("2 aliases")).to_be_visible()


def test_a_domain_is_added_edited_and_deleted_only_when_empty(company: Site, page: Page) -> None:
    enter(page, company, "alice", "/domains")
    page.get_by_role("button", name="Add domain").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Domain").fill("Bücher.example")
    dialog.get_by_role("textbox", name="Description").fill("Books")
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_text("bücher.example is added.")).to_be_visible()
    assert company.app.queries.domain_by_name(SYSTEM, "xn--bcher-kva.example").description == "Books"

    page.goto(f"{company.url}/domains?dm_q=sales")
    choose_row(page, 1)
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_role("spinbutton", name="Default quota").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert company.app.queries.domain_by_name(SYSTEM, "sales.example.com").default_quota_bytes is None

    for search, sentence in (("sales", "still has mailboxes"), ("Books", "bücher.example is deleted.")):
        page.goto(f"{company.url}/domains?dm_q={search}")
        choose_row(page, 1)
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text(sentence)).to_be_visible()
