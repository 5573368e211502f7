"""axe-core finds nothing serious or critical of ours on any page, light and dark, nor in dialogs."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from provision.sample import MAIN
from tests.e2e.hands import choose_row
from tests.e2e.site import Site, serve, sign_in

pytestmark = pytest.mark.browser
HEAVY = {"serious", "critical"}
STREAMLITS_OWN = {
    "list": "stSidebarNavItems",
    "listitem": '<li class="st-emotion-cache',
}  # rule → the part of the markup that is Streamlit's; see docs/ui-conventions.md
DARK = [
    ['[data-testid="stButtonGroup"]']
]  # the same: the words of the pressed button are in the colour of primary buttons
PAGES = ("", "mailboxes", "aliases", "domains", "sync", "sync?sy_part=compare", "logs", "settings")
DIALOGS = {
    "mailboxes": ("Create mailbox", "Import CSV"), "aliases": ("Add alias",), "domains": ("Add domain",),
    "logs": ("Verify audit chain",), "settings": ("Add mail server",),
}  # fmt: skip


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("accessibility"), history_days=3) as site:
        yield site


def settled(page: Page) -> None:
    page.wait_for_timeout(500)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    page.wait_for_timeout(500)


def found(page: Page, scheme: str) -> list[str]:
    """What is wrong: the rule, and the place."""
    settled(page)
    violations = Axe().run(page, context={"exclude": DARK} if scheme == "dark" else None).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:300]} {node['any'][0]['message'] if node['any'] else ''}"
        for violation in violations if violation["impact"] in HEAVY
        for node in violation["nodes"] if STREAMLITS_OWN.get(violation["id"], "–") not in node["html"]
    ]  # fmt: skip


def signed_in(chromium: Browser, site: Site, scheme: str) -> Page:
    page = chromium.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800}, locale="en-GB").new_page()  # type: ignore[arg-type]
    sign_in(page, site, "alice")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages(chromium: Browser, company: Site, scheme: str) -> None:
    page = chromium.new_context(color_scheme=scheme).new_page()  # type: ignore[arg-type]
    page.goto(company.url)
    expect(page.get_by_label("User name")).to_be_visible()
    wrong = [f"sign-in: {what}" for what in found(page, scheme)]
    page.context.close()
    page = signed_in(chromium, company, scheme)
    for path in PAGES:
        page.goto(f"{company.url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        wrong += [f"{path}: {what}" for what in found(page, scheme)]
    for part in ("Operators", "API tokens", "Rules"):
        page.get_by_role("radio", name=part).click()
        wrong += [f"{part}: {what}" for what in found(page, scheme)]
    page.context.close()
    assert not wrong, "\n".join(wrong)


OF_A_ROW = {
    f"mailboxes?mb_q=anna.abe@{MAIN}": ("Details", "Edit", "Reset password", "Delete"),
    "aliases?al_q=jobs": ("Edit", "Owner", "Delete"), "domains": ("Edit", "Delete"), "settings": ("Edit", "Delete"),
    "settings?st_part=operators": ("Edit", "Reset password"),
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_of_a_row(chromium: Browser, company: Site, scheme: str) -> None:
    page, wrong = signed_in(chromium, company, scheme), []
    for path, buttons in OF_A_ROW.items():
        for button in buttons:
            page.goto(f"{company.url}/{path}")
            choose_row(page, 1)
            page.get_by_role("button", name=button, exact=True).click()
            expect(page.get_by_role("dialog")).to_be_visible()
            wrong += [f"{path} {button}: {what}" for what in found(page, scheme)]
            if path.startswith("mailboxes") and button == "Delete":
                page.get_by_role("dialog").get_by_text("Delete for good").first.click()
                wrong += [f"{path} {button} for good: {what}" for what in found(page, scheme)]
    page.context.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs(chromium: Browser, company: Site, scheme: str) -> None:
    page, wrong = signed_in(chromium, company, scheme), []
    for path, buttons in DIALOGS.items():
        for button in buttons:
            page.goto(f"{company.url}/{path}")
            page.get_by_role("button", name=button).click()
            expect(page.get_by_role("dialog")).to_be_visible()
            wrong += [f"{button}: {what}" for what in found(page, scheme)]
    page.context.close()
    assert not wrong, "\n".join(wrong)
