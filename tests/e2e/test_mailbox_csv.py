"""CSV on the mailboxes page, in a real browser: what goes in comes out again, and what is no CSV gets a sentence."""

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.hands import PASSWORD, dialog, file, press, ready, settled, toast
from tests.e2e.site import Site, enter
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


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
    wait_for(lambda: file(company).count("\ncsv") == 200, 30)

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


def test_refused_rows_are_for_their_owner(
    company: Site, chromium: Browser, context: BrowserContext, page: Page
) -> None:
    enter(page, company, "vera", "/mailboxes")
    for path in ("import-rejected.csv?import=0190a000-0000-7000-8000-000000000000", "mailboxes-template.csv"):
        assert page.request.get(f"{company.url}/export/{path}").status == 403
    with chromium.new_context() as stranger:
        assert stranger.request.get(f"{company.url}/export/mailboxes-template.csv").status == 401


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", "not in UTF-8"),
        pytest.param(b"PK\x03\x04zip", "spreadsheet or archive", marks=pytest.mark.nightly),
        pytest.param(b"a,b\n1,2\n", "is not known", marks=pytest.mark.nightly),
        pytest.param(b"", "empty", marks=pytest.mark.nightly),
        pytest.param(b"email,password\n\0,x\n", "NUL", marks=pytest.mark.nightly),
    ],
)
def test_what_is_no_csv_gets_a_sentence(alice: Page, data: bytes, says: str) -> None:
    upload(alice, "people.csv", data)
    expect(dialog(alice).get_by_text(says)).to_be_visible()
    assert "Traceback" not in alice.content()


def test_the_encoding_is_chosen_by_how_the_words_look(alice: Page) -> None:
    upload(
        alice, "people.csv", f"email,password,display_name\nj@sales.example.com,{PASSWORD},Jürgen\n".encode("cp1252")
    )
    expect(dialog(alice).get_by_text("it may be in cp1252")).to_be_visible()
    dialog(alice).get_by_role("combobox").click()
    alice.get_by_role("option", name="Western European (cp1252): Jürgen").click()
    settled(alice)
    expect(dialog(alice).get_by_role("button", name="Import 1 mailbox")).to_be_enabled()


def test_a_file_of_50_mb_gets_a_sentence(alice: Page, company: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    big = tmp_path_factory.mktemp("big") / "big.csv"
    big.write_bytes(b"email,password\n" + b"x@example.com,Correct-Horse-1\n" * 1_800_000)
    press(alice, "Import CSV")
    alice.locator("input[type=file]").set_input_files(big)
    expect(dialog(alice).get_by_text(re.compile("must be 10.*MB or smaller", re.I)).first).to_be_visible()
