"""Hands and eyes of the browser tests: what they press, and where they look; most of it on the mailboxes page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from provision.core.access import Actor
from provision.storage.models import Mailbox
from tests.e2e.site import PASSWORD, Site
from tests.waiting import comes_true

SYSTEM = Actor.system("somebody else")


def ready(page: Page) -> None:
    expect(page.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible(timeout=20_000)
    settled(page)


def settled(page: Page) -> None:
    """What was asked for has come."""
    page.wait_for_timeout(300)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=20_000)


@contextmanager
def a_run(page: Page) -> Iterator[None]:
    """What is done within makes the script run: for where what it brings may stand there already."""
    page.evaluate("""() => {
        const app = document.querySelector('[data-testid=stApp]'), state = 'data-test-script-state'
        window.hasRun = false
        new MutationObserver(() => { window.hasRun ||= app.getAttribute(state) == 'running' })
            .observe(app, {attributeFilter: [state]})
    }""")
    yield
    comes_true(lambda: page.evaluate("window.hasRun"), 5)  # a short one may be over before anything is drawn
    settled(page)


def find(page: Page, site: Site, address: str, **more: str) -> None:
    """Open the list with this one only."""
    query = "&".join(f"mb_{name}={value}" for name, value in {"q": address, **more}.items())
    page.goto(f"{site.url}/mailboxes?{query}")
    ready(page)
    expect(page.get_by_text("1 mailbox", exact=True)).to_be_visible()


def select_row(page: Page, number: int = 1) -> None:
    """On the mailboxes page, which says how many are selected."""
    choose_row(page, number)
    expect(page.get_by_text(re.compile(r"^\d+ selected$"))).to_be_visible()


def click_row(page: Page, number: int, x: int) -> Locator:
    """On any list, rows counted from 1. The grid is a canvas; what it shows also stands in a table for readers."""
    settled(page)
    grid = page.get_by_test_id("stDataFrame").first
    row = grid.locator(f"tr[aria-rowindex='{number + 1}']")
    expect(row).to_be_attached()
    grid.click(position={"x": x, "y": 15 + 31 * number})
    return row


def choose_row(page: Page, number: int) -> None:
    """Click the box before it; once more where the list was drawn anew at that moment."""
    for _again in range(3):
        row = click_row(page, number, 15)
        if comes_true(lambda row=row: row.get_attribute("aria-selected") == "true", 5):  # type: ignore[misc]
            return settled(page)
    expect(row).to_have_attribute("aria-selected", "true")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    settled(page)


def click_twice(button: Locator, pause_ms: int) -> None:
    """Where it was, also if it has gone meanwhile: that is what a person's double click does."""
    button.click(trial=True)  # waits until it stands still
    box = button.bounding_box()
    assert box
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    button.page.mouse.click(*place)
    button.page.wait_for_timeout(pause_ms)
    button.page.mouse.click(*place)


def choose(page: Page, name: str) -> None:
    """A radio button; Streamlit lays what it draws over the input."""
    settled(page)
    page.get_by_role("radio", name=name).check(force=True)


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def leave(page: Page) -> None:
    """Close the dialog with nothing done: by Cancel; one that only shows by Escape."""
    cancel = dialog(page).get_by_role("button", name="Cancel", exact=True)
    cancel.click() if cancel.count() else page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()


def toast(page: Page, text: str) -> None:
    expect(page.get_by_test_id("stToast").filter(has_text=text)).to_be_visible(timeout=15_000)


def file(site: Site, name: str = "postfix-accounts.cf") -> str:
    return (site.volume / name).read_text()


def row(site: Site, address: str) -> Mailbox:
    return site.app.queries.mailbox_by_address(SYSTEM, address)


def open_create(page: Page, address: str, password: str = PASSWORD) -> Locator:
    press(page, "Create mailbox")
    form = dialog(page)
    form.get_by_label("Address").fill(address)
    form.get_by_label("Password", exact=True).fill(password)
    form.get_by_label("Password again").fill(password)
    return form.get_by_role("button", name="Create", exact=True)
