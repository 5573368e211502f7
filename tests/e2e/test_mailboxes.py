"""The mailboxes page in a real browser against a real server process: what is clicked stands in the server's files."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlalchemy import func, select

from provision.access import Actor
from provision.models import Mailbox, ProvisionLog
from provision.passwords import verify_password
from provision.sample import MAIN
from provision.secret import Secret
from tests.e2e.site import Site, serve, sign_in

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("somebody else")
PASSWORD = "Correct-Horse-1"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One process for all tests here; each uses mailboxes of its own."""
    with serve(tmp_path_factory.mktemp("mailboxes")) as site:
        yield site


@pytest.fixture
def alice(page: Page, company: Site) -> Page:
    sign_in(page, company, "alice", "/mailboxes")
    ready(page)
    return page


# ---- hands and eyes ------------------------------------------------------------------------


def ready(page: Page) -> None:
    expect(page.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible(timeout=20_000)
    settled(page)


def settled(page: Page) -> None:
    page.wait_for_timeout(300)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


def find(page: Page, site: Site, address: str, **more: str) -> None:
    """Open the list with this one only."""
    query = "&".join(f"mb_{name}={value}" for name, value in {"q": address, **more}.items())
    page.goto(f"{site.url}/mailboxes?{query}")
    ready(page)
    expect(page.get_by_text("1 mailbox", exact=True)).to_be_visible()


def select_row(page: Page, number: int = 1) -> None:
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 15, box["y"] + 31 * number + 15)
    expect(page.get_by_text(re.compile(r"^\d+ selected$"))).to_be_visible()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    settled(page)


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def toast(page: Page, text: str) -> None:
    expect(page.get_by_test_id("stToast").filter(has_text=text)).to_be_visible(timeout=15_000)


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


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


@pytest.mark.parametrize("typed", [True, False])
def test_a_double_click_makes_one_mailbox(alice: Page, company: Site, typed: bool) -> None:
    address = f"double-{'typed' if typed else 'once'}@example.com"
    open_create(alice, address, PASSWORD if typed else "").dblclick()
    if typed:
        toast(alice, f"{address} is created")
        password = PASSWORD
    else:
        alice.wait_for_timeout(2500)
        password = dialog(alice).get_by_test_id("stCode").inner_text().strip()
    settled(alice)
    assert made(company, address) == (1, 1)
    assert verify_password(Secret(password), stored_hash(company, address))


def test_a_one_time_password_is_shown_once(alice: Page, company: Site) -> None:
    find(alice, company, f"ben.carter@{MAIN}")
    select_row(alice)
    press(alice, "Reset password")
    press(alice, "Make one-time password")
    password = dialog(alice).get_by_test_id("stCode").inner_text().strip()
    assert verify_password(Secret(password), stored_hash(company, f"ben.carter@{MAIN}"))
    dialog(alice).get_by_role("button", name="Close").last.click()
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
    company.app.provisioner.edit_mailbox(SYSTEM, row(company, address).uid, display_name="Theirs", quota_bytes=5 << 30)
    dialog(alice).get_by_label("Name").fill("Mine")
    dialog(alice).get_by_role("button", name="Save").click()
    expect(dialog(alice).get_by_text("Somebody else has changed this mailbox meanwhile.")).to_be_visible()
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
    toast(alice, "disabled. All of it is on the mail server.")
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
    assert address in file(company)
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


# ---- the server is down --------------------------------------------------------------------


def test_down_then_pending_then_retried_then_synced(alice: Page, company: Site) -> None:
    away = company.volume.with_name("away")
    company.volume.rename(away)
    try:
        began = time.monotonic()
        open_create(alice, "waits@example.com").click()
        toast(alice, "waits@example.com is created.")
        expect(alice.get_by_text("It is kept and waits").first).to_be_visible()
        assert time.monotonic() - began < 12
        expect(alice.get_by_text("headquarters cannot be reached")).to_be_visible()
        find(alice, company, "waits@example.com", sync="PENDING")
        select_row(alice)
        press(alice, "Details")
        expect(dialog(alice).get_by_text("Next attempt").first).to_be_visible()
        expect(dialog(alice).get_by_text("It is kept and waits")).to_be_visible()
        assert "mb_open=" in alice.url
        alice.keyboard.press("Escape")
        expect(dialog(alice)).to_be_hidden()
    finally:
        away.rename(company.volume)
    find(alice, company, "waits@example.com")
    if row(company, "waits@example.com").sync_status != "SYNCED":
        select_row(alice)
        press(alice, "Retry")
    wait_until(lambda: "waits@example.com" in file(company))
    wait_until(lambda: row(company, "waits@example.com").sync_status == "SYNCED")


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


# ---- CSV -----------------------------------------------------------------------------------


def upload(page: Page, name: str, data: bytes) -> None:
    press(page, "Import CSV")
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})
    settled(page)


def test_import_of_200_goes_on_elsewhere_and_comes_out_again(alice: Page, company: Site) -> None:
    lines = ["email,password,display_name,quota_mb,aliases,enabled"]
    lines += [f"csv{n:03}@sales.example.com,{PASSWORD},=1+{n},512,,true" for n in range(200)]
    lines += ["not an address,Correct-Horse-1,,,,", "weak@sales.example.com,weak,,,,"]
    upload(alice, "people.csv", "\n".join(lines).encode())
    expect(dialog(alice).get_by_text("These rows are refused")).to_be_visible()
    dialog(alice).get_by_role("button", name="Import 200 mailboxes").click()
    toast(alice, "The import has begun")
    alice.goto(company.url + "/logs")
    expect(alice.get_by_role("heading", name="Logs", level=1)).to_be_visible()
    alice.goto(company.url + "/mailboxes")
    expect(alice.get_by_text("200 created, 2 refused")).to_be_visible(timeout=60_000)
    wait_until(lambda: file(company).count("\ncsv") == 200, 30)

    link = alice.get_by_role("link", name="Refused rows").get_attribute("href")
    rejected = alice.request.get(company.url + str(link))
    assert rejected.ok
    assert "weak@sales.example.com,weak" in rejected.text()

    alice.goto(company.url + "/mailboxes?mb_q=csv")
    ready(alice)
    link = alice.get_by_role("link", name="Export CSV").get_attribute("href")
    exported = alice.request.get(company.url + str(link)).text()
    assert exported.count("@sales.example.com") == 200
    assert ",'=1+7," in exported
    assert PASSWORD not in exported
    assert PASSWORD not in company.log.read_text()


def test_selection_does_not_leak_to_another_page(alice: Page, company: Site) -> None:
    assert len(company.app.queries.mailboxes(SYSTEM, size=60).rows) == 60, "the import has made them"
    select_row(alice)
    alice.get_by_test_id("stPagination").get_by_text("2", exact=True).click()
    settled(alice)
    expect(alice.get_by_text("selected")).to_have_count(0)
    expect(alice.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    assert "mb_page=2" in alice.url


def test_refused_rows_are_for_their_owner(
    company: Site, chromium: Browser, context: BrowserContext, page: Page
) -> None:
    sign_in(page, company, "vera", "/mailboxes")
    for path in ("import-rejected.csv?import=0190a000-0000-7000-8000-000000000000", "mailboxes-template.csv"):
        assert page.request.get(f"{company.url}/export/{path}").status == 403
    with chromium.new_context() as stranger:
        assert stranger.request.get(f"{company.url}/export/mailboxes-template.csv").status == 401


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", "not in UTF-8"), (b"PK\x03\x04zip", "spreadsheet or archive"), (b"a,b\n1,2\n", "is not known"),
        (b"", "empty"), (b"email,password\n\0,x\n", "NUL"),
    ],
)  # fmt: skip
def test_what_is_no_csv_gets_a_sentence(alice: Page, data: bytes, says: str) -> None:
    upload(alice, "people.csv", data)
    expect(dialog(alice).get_by_text(says)).to_be_visible()
    assert "Traceback" not in alice.content()


def test_a_file_of_50_mb_gets_a_sentence(alice: Page, company: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    big = tmp_path_factory.mktemp("big") / "big.csv"
    big.write_bytes(b"email,password\n" + b"x@example.com,Correct-Horse-1\n" * 1_800_000)
    press(alice, "Import CSV")
    alice.locator("input[type=file]").set_input_files(big)
    expect(dialog(alice).get_by_text(re.compile("must be 10.*MB or smaller", re.I)).first).to_be_visible()


# ---- roles ---------------------------------------------------------------------------------


def test_a_viewer_looks_only(page: Page, company: Site) -> None:
    sign_in(page, company, "vera", "/mailboxes")
    ready(page)
    for name in ("Create mailbox", "Import CSV", "Edit", "Delete", "Disable", "Reset password"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)


def test_a_link_survives_the_sign_in(page: Page, company: Site) -> None:
    sign_in(page, company, "alice", "/mailboxes?mb_q=kenji&mb_sort=-used")
    ready(page)
    expect(page.get_by_label("Search", exact=True).first).to_have_value("kenji")
    assert "mb_sort=" in page.url
