"""The routes beside the pages: exports with filters that make no sense, and the way of a token into the cookie."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from provision.app import Postroom
from provision.core.secret import Secret
from provision.jobs.scheduled_tasks import run_next_task
from provision.transfer.csv_reader import Reading
from provision.transfer.import_jobs import start_import
from tests.ui.conftest import token_of
from webui.http import endpoints, import_endpoints, sessions

ROUTES = [
    Route("/export/mailboxes.csv", endpoints.export_mailboxes),
    Route("/export/aliases.csv", endpoints.export_alias_list),
    Route("/export/logs.csv", endpoints.export_logs),
    Route("/export/import-passwords.csv", import_endpoints.import_passwords),
    Route("/auth/session", endpoints.set_cookie),
]


@pytest.fixture
def client(company: Postroom) -> TestClient:
    return TestClient(Starlette(routes=ROUTES), headers={"cookie": f"{sessions.COOKIE}={token_of(company, 'alice')}"})


@pytest.mark.parametrize(
    "path",
    [
        "logs.csv?since=2026-11-31",
        "logs.csv?until=yesterday",
        "logs.csv?since=0001-01-01T00:00:00%2B14:00",
        "logs.csv?status=NONSENSE",
        "logs.csv?from=2026-11-21",
        "mailboxes.csv?email=anna@example.com",
        "mailboxes.csv?used_percent_from=1" + 30 * "0",
        "mailboxes.csv?used_percent_from=-1",
        "mailboxes.csv?used_percent_from=9e9",
        "mailboxes.csv?status=NONSENSE",
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_before_the_file_begins(client: TestClient, path: str) -> None:
    answer = client.get(f"/export/{path}")
    assert (answer.status_code, answer.text) == (
        400,
        "A filter in the address is not known, or its value cannot be used.",
    )
    assert "content-disposition" not in answer.headers


def test_the_filters_of_the_pages_are_understood(client: TestClient) -> None:
    whole = client.get("/export/mailboxes.csv").text.splitlines()
    full = client.get("/export/mailboxes.csv?used_percent_from=90").text.splitlines()
    assert (whole[0], len(whole) > len(full) > 1) == (full[0], True)
    assert len(client.get("/export/logs.csv?since=2026-11-01T00:00:00%2B00:00").text.splitlines()) > 1


def test_a_list_for_excel_begins_with_its_mark(client: TestClient) -> None:
    for path in ("mailboxes.csv", "aliases.csv", "logs.csv"):
        assert client.get(f"/export/{path}?excel=1").content[:3] == b"\xef\xbb\xbf"
        assert client.get(f"/export/{path}").content[:3] != b"\xef\xbb\xbf"


def test_aliases_come_with_all_their_destinations(client: TestClient) -> None:
    whole = client.get("/export/aliases.csv").text.splitlines()
    found = client.get("/export/aliases.csv?search=partner&domain=sales.example.com").text.splitlines()
    assert (whole[0], len(whole) > len(found) > 1) == ("alias,destinations,mailbox", True)


def test_new_passwords_are_used_up_by_who_gets_them_only(own_company: Postroom) -> None:
    client = TestClient(
        Starlette(routes=ROUTES), headers={"cookie": f"{sessions.COOKIE}={token_of(own_company, 'alice')}"}
    )
    who = own_company.sign_in.current(Secret(token_of(own_company, "alice")), "192.0.2.7")
    assert who
    uid = start_import(own_company, who.actor, b"email\nj@sales.example.com\n", Reading(passwords=True))
    run_next_task(own_company)
    path = f"/export/import-passwords.csv?import={uid}"
    assert client.head(path).status_code == 405
    assert TestClient(Starlette(routes=ROUTES)).get(path).status_code == 401
    told = client.get(path)
    assert told.text.startswith("email,password\r\nj@sales.example.com,")
    assert told.headers["cache-control"] == "no-store"
    assert client.get(path).status_code == 404
    assert client.get("/export/import-passwords.csv?import=x").status_code == 404


def test_a_day_that_ends_an_exported_period_is_meant_with_all_its_hours(client: TestClient) -> None:
    lines = client.get("/export/logs.csv").text.splitlines()
    first, last = lines[1][:10], lines[-1][:10]
    assert len(client.get(f"/export/logs.csv?since={first}&until={last}").text.splitlines()) == len(lines)
    assert len(client.get(f"/export/logs.csv?until={last}T00:00:00").text.splitlines()) < len(lines)


@pytest.mark.parametrize(
    "target", ["//[", "/\\evil.example", "//evil.example", "https://evil.example/", "[", "/\t/evil.example"]
)
def test_after_the_sign_in_nobody_is_sent_elsewhere(client: TestClient, target: str) -> None:
    answer = client.get("/auth/session", params={"ticket": "x", "next": target}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("cookie", ["", "_streamlit_xsrf=", "_streamlit_xsrf=browser"])
def test_a_ticket_of_a_browser_without_a_cookie_is_nobodys(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, cookie: str
) -> None:
    """Somebody signs in without the cookie, and sends the ticket to a victim, who would work in their account."""
    monkeypatch.setitem(sessions._tickets, "ticket", sessions.Ticket(Secret("token"), "", float("inf")))
    answer = client.get("/auth/session?ticket=ticket", headers={"Cookie": cookie}, follow_redirects=False)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("site", "expected"), [("cross-site", False), ("same-site", False), ("same-origin", True)])
def test_a_ticket_is_not_taken_from_a_link_of_another_site(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, site: str, expected: bool
) -> None:
    monkeypatch.setitem(sessions._tickets, "ticket", sessions.Ticket(Secret("token"), "browser", float("inf")))
    headers = {"Cookie": "_streamlit_xsrf=browser", "Sec-Fetch-Site": site}
    answer = client.get("/auth/session?ticket=ticket", headers=headers, follow_redirects=False)
    assert ("set-cookie" in answer.headers) is expected


def test_a_ticket_is_for_the_browser_that_signed_in(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = sessions.Ticket(Secret("token"), "browser", float("inf"))
    monkeypatch.setitem(sessions._tickets, "ticket", ticket)
    odd = {"cookie": f"{sessions.XSRF_COOKIE}=".encode() + b"\xfc"}
    answer = client.get("/auth/session?ticket=ticket&next=/[", headers=odd, follow_redirects=False)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["location"], "set-cookie" in answer.headers) == (303, "/[", False)
