"""Signing in and out with a real browser and a real server."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from provision.core.access import Actor
from tests.conftest import HASH
from tests.e2e.site import PASSWORD, Site, enter, fill_sign_in, operator, serve, sign_in
from tests.waiting import wait_for
from webui.http.sessions import COOKIE

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("test")


def cookie(context: BrowserContext) -> dict[str, object]:
    return next(dict(c) for c in context.cookies() if c["name"] == COOKIE)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, level=1)).to_be_visible(timeout=20_000)


def test_it_lets_an_operator_in_and_the_cookie_is_safe(site: Site, page: Page, context: BrowserContext) -> None:
    sign_in(page, site, "vera")
    heading(page, "Overview")
    kept = cookie(context)
    assert (kept["httpOnly"], kept["secure"], kept["sameSite"], kept["path"]) == (True, True, "Strict", "/")
    assert COOKIE not in page.evaluate("document.cookie")
    page.reload()
    heading(page, "Overview")


@pytest.mark.parametrize("name", [pytest.param("vera", marks=pytest.mark.nightly), "nobody"])
def test_a_wrong_password_and_an_unknown_name_are_told_alike(site: Site, page: Page, name: str) -> None:
    page.goto(site.url)
    fill_sign_in(page, name, "Wrong-Horse-1")
    expect(page.get_by_text("The user name or the password is wrong.")).to_be_visible()
    heading(page, "Postroom")


@pytest.mark.nightly
def test_guessing_locks(company: Site, page: Page) -> None:
    page.goto(company.url)
    for _ in range(5):
        fill_sign_in(page, "dora", "Wrong-Horse-1")
        expect(page.get_by_text("The user name or the password is wrong.")).to_be_visible()
        page.reload()
    fill_sign_in(page, "dora")
    expect(page.get_by_text("Too many failed sign-ins. Try again in 15 minutes.")).to_be_visible()


def test_a_deep_link_is_the_first_request_of_a_fresh_process(tmp_path: Path, page: Page) -> None:
    with serve(tmp_path) as site:
        page.goto(f"{site.url}/logs?lg_q=anna&lg_status=SUCCESS")
        heading(page, "Postroom")
        assert page.get_by_role("heading", name="Logs").count() == 0
        fill_sign_in(page, "vera")
        heading(page, "Logs")
        expect(page.get_by_role("searchbox")).to_have_value("anna")
        assert "lg_q=anna" in page.url
        assert "ticket" not in page.url


def test_a_cookie_is_worthless_after_the_sign_out(site: Site, page: Page, chromium: Browser) -> None:
    sign_in(page, site, "vera")
    stolen = cookie(page.context)
    other_tab = page.context.new_page()
    other_tab.goto(site.url)
    heading(other_tab, "Overview")
    page.get_by_role("button", name="Sign out").click()
    heading(page, "Postroom")
    assert [c for c in page.context.cookies() if c["name"] == COOKIE] == []
    other_tab.reload()
    heading(other_tab, "Postroom")
    thief = chromium.new_context()
    thief.add_cookies([stolen])  # type: ignore[list-item]
    elsewhere = thief.new_page()
    elsewhere.goto(site.url)
    heading(elsewhere, "Postroom")
    thief.close()


def test_a_session_that_is_ended_meanwhile_ends_at_the_next_click(company: Site, page: Page) -> None:
    enter(page, company, "vera", "/logs?lg_q=anna")
    heading(page, "Logs")
    company.app.services.operators.end_sessions(SYSTEM, operator(company.app, "vera")["uid"])
    page.get_by_role("link", name="Overview").click()
    heading(page, "Postroom")
    fill_sign_in(page, "vera")
    heading(page, "Overview")


def test_a_one_time_password_must_be_changed_first(company: Site, page: Page) -> None:
    _, made = company.app.services.operators.set_password(SYSTEM, operator(company.app, "vera")["uid"])
    assert made is not None
    page.goto(f"{company.url}/logs")
    fill_sign_in(page, "vera", made.reveal())
    heading(page, "Choose your password")
    for label, text in (
        ("One-time password", made.reveal()),
        ("New password", PASSWORD),
        ("New password again", PASSWORD),
    ):
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Change password").click()
    heading(page, "Logs")


def test_the_first_password_is_the_last_that_a_start_says(tmp_path: Path) -> None:
    """The mail server was read before: who signs in sees what is on it."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "postfix-accounts.cf").write_text(f"ann@example.com|{HASH.reveal()}\n")
    with serve(tmp_path, seeded=False, POSTROOM_CONFIG_DIR=str(tmp_path / "config")) as site:
        said = [line for line in site.log.read_text().splitlines() if line.startswith("Postroom: ")]
        assert [line.partition("1 mailboxes")[0] for line in said[:-1]] == ["Postroom: Imported "]
        assert "one-time password" in said[-1]
        (server,) = site.app.queries.servers(SYSTEM)
        assert (server.accounts, server.last_read_at is not None) == (1, True)


def test_the_first_start_prints_the_admins_password_once(tmp_path: Path, page: Page) -> None:
    with serve(tmp_path, seeded=False) as site:
        found = re.findall(r"“admin” with the one-time password (\S+)", site.log.read_text())
        assert len(found) == 1
        page.goto(site.url)
        fill_sign_in(page, "admin", found[0])
        heading(page, "Choose your password")


def test_roles_decide_which_pages_exist(site: Site, page: Page) -> None:
    enter(page, site, "vera", "/settings")
    expect(page.get_by_text("Page not found")).to_be_visible()
    assert page.get_by_role("link", name="Settings").count() == 0


def test_the_language_is_switched_and_kept(company: Site, page: Page) -> None:
    enter(page, company, "alice")
    page.get_by_role("combobox").last.click()
    page.get_by_role("option", name="日本語").click()
    heading(page, "概要")
    page.reload()
    heading(page, "概要")


def test_no_other_host_is_asked_and_no_script_is_blocked(site: Site, page: Page) -> None:
    asked, blocked = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: blocked.append(message.text) if "Content Security" in message.text else None)
    sign_in(page, site, "alice")
    heading(page, "Overview")
    page.wait_for_timeout(1500)
    assert [url for url in asked if not url.startswith((site.url, "data:", "blob:"))] == []
    assert blocked == []


@pytest.mark.parametrize(("scheme", "colour"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(14, 20, 30)")])
def test_it_follows_the_systems_light_or_dark(site: Site, chromium: Browser, scheme: str, colour: str) -> None:
    context = chromium.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(site.url)
    heading(page, "Postroom")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", colour)
    expect(page.locator("h1")).to_have_css("font-family", re.compile("Inter"))
    wait_for(lambda: page.evaluate("[...document.fonts].some(f => f.family == 'Inter' && f.status == 'loaded')"))
    context.close()


def get(site: Site, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Without following redirects."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    request = urllib.request.Request(site.url + path, headers=headers)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_routes_beside_the_pages(site: Site, page: Page, context: BrowserContext) -> None:
    status, headers, body = get(site, "/health")
    assert (status, json.loads(body)["database"]) == (200, "connected")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert get(site, "/_stcore/metrics")[0] == 404
    for path in ("/export/mailboxes.csv", "/export/logs.csv"):
        assert get(site, path)[0] == 401
        assert get(site, path, Cookie=f"{COOKIE}=guess")[0] == 401
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        status, headers, _ = get(site, f"/auth/session?ticket=x&next={target}")
        assert (status, headers["location"]) == (303, "/")
        assert "set-cookie" not in {name.lower() for name in headers}
    sign_in(page, site, "dora")
    kept = f"{COOKIE}={cookie(context)['value']}"
    status, _, body = get(site, "/export/mailboxes.csv", Cookie=kept)
    lines = body.decode().splitlines()
    assert status == 200
    assert len(lines) > 15
    assert all("@example.com" in line for line in lines[1:])
    assert get(site, "/export/logs.csv?status=NONSENSE", Cookie=kept)[0] == 400
