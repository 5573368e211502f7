"""axe-core finds nothing serious or critical of ours on any page, light and dark, nor in dialogs."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from provision.ops.sample import MAIN
from tests.e2e.hands import choose_row, click_twice, dialog, leave, open_create, settled
from tests.e2e.site import Site, serve

pytestmark = pytest.mark.browser
HEAVY = {"serious", "critical"}
STREAMLITS_OWN = {
    "list": "stSidebarNavItems",
    "listitem": '<li class="st-emotion-cache',
}  # rule → the part of the markup that is Streamlit's; see docs/ui-conventions.md
SCHEMES = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}  # what else there is, is the same in both
PAGES = (
    "",
    "mailboxes",
    "aliases",
    "domains",
    "sync",
    "sync?sy_part=compare",
    "logs",
    "settings",
    "settings?st_part=operators",
    "settings?st_part=tokens",
    "settings?st_part=policy",
)
# Page → what is clicked there, one after the other, until a dialog is open. Of a row: the first is selected before.
DIALOGS = {
    "mailboxes": ("Create mailbox", "Import CSV", "Change password"),
    "aliases": ("Add alias",),
    "domains": ("Add domain",),
    "sync?sy_part=compare": ("Import …",),
    "logs": ("Verify audit chain",),
    "settings": ("Add mail server",),
    "settings?st_part=operators": ("Add operator",),
    "settings?st_part=tokens": ("Make API token",),
    "settings?st_part=policy": ("Edit rules",),
}
DIALOGS_OF_A_ROW = {
    f"mailboxes?mb_q=anna.abe@{MAIN}": (
        "Edit",
        "Reset password",
        "Reset password > Type a password",
        "Delete",
        "Delete > Delete for good",
        "More > Set quota",
        "More > Check a password",
        "Details",
    ),
    "aliases?al_q=jobs": ("Edit", "Owner", "Delete"),
    "domains": ("Edit", "Delete"),
    "settings": ("Edit", "Delete"),
    "settings?st_part=operators": ("Edit", "Reset password"),
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("accessibility"), history_days=3) as site:
        yield site


@pytest.fixture
def alice(alices_page: Page) -> Page:
    return alices_page


def found(page: Page, where: str) -> list[str]:
    """What is wrong: the place, the rule, and the markup."""
    settled(page)
    wrong = []
    for scheme, options in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
        page.wait_for_timeout(300)  # what fades in has faded in
        violations = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
        wrong += [
            f"{where} ({scheme}) {violation['id']}: {node['html'][:300]} "
            f"{node['any'][0]['message'] if node['any'] else ''}"
            for violation in violations
            if violation["impact"] in HEAVY
            for node in violation["nodes"]
            if STREAMLITS_OWN.get(violation["id"], "–") not in node["html"]
        ]
    page.emulate_media(color_scheme="light")
    return wrong


def click_through(page: Page, way: str) -> None:
    first, *rest = way.split(" > ")
    page.get_by_role("button", name=first, exact=True).click()
    for text in rest:
        page.get_by_text(text, exact=True).last.click()
    expect(dialog(page)).to_be_visible()


def test_sign_in(page: Page, company: Site) -> None:
    page.goto(company.url)
    expect(page.get_by_label("User name")).to_be_visible()
    wrong = found(page, "sign-in")
    assert not wrong, "\n".join(wrong)


def test_pages(alice: Page, company: Site) -> None:
    wrong = []
    for path in PAGES:
        alice.goto(f"{company.url}/{path}")
        expect(alice.get_by_role("heading", level=1)).to_be_visible()
        wrong += found(alice, path)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("dialogs", "of_a_row"),
    [
        pytest.param(DIALOGS, False, id="page"),
        pytest.param(DIALOGS_OF_A_ROW, True, id="row", marks=pytest.mark.nightly),
    ],
)
def test_dialogs(alice: Page, company: Site, dialogs: dict[str, tuple[str, ...]], of_a_row: bool) -> None:
    wrong = []
    for path, ways in dialogs.items():
        alice.goto(f"{company.url}/{path}")
        if of_a_row:
            choose_row(alice, 1)
        for way in ways:
            click_through(alice, way)
            wrong += found(alice, f"{path} {way}")
            leave(alice)
    assert not wrong, "\n".join(wrong)


def test_what_is_shown_in_a_dialog_afterwards(alice: Page, company: Site) -> None:
    alice.goto(f"{company.url}/mailboxes")
    click_through(alice, "Import CSV")
    data = b"email,password\nnew.person@example.com,Correct-Horse-1\nnot an address,Correct-Horse-1\n"
    alice.locator("input[type=file]").set_input_files({"name": "people.csv", "mimeType": "text/csv", "buffer": data})
    expect(dialog(alice).get_by_text("These rows are refused")).to_be_visible()
    wrong = found(alice, "preview of an import")
    leave(alice)
    click_twice(open_create(alice, "once@example.com", ""), 1)
    expect(dialog(alice).get_by_text("Copy it now")).to_be_visible()
    wrong += found(alice, "one-time password")
    assert not wrong, "\n".join(wrong)
