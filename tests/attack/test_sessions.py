"""Sessions that were planted, stolen, kept too long, or whose rights were taken away under them."""

import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from uuid import uuid4

import pytest

from provision.core.access import Role
from provision.core.secret import Secret
from provision.queries import LogFilter
from tests.attack.conftest import SYSTEM
from tests.attack.tab import Tab, tab
from tests.e2e.site import PASSWORD, Site, operator, token_of
from tests.waiting import wait_for
from webui.http.sessions import COOKIE, XSRF_COOKIE


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def get(site: Site, path: str, **cookies: str) -> tuple[int, dict[str, str]]:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    request = urllib.request.Request(site.url + path, headers={"Cookie": cookie} if cookie else {})
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as answer:
            return answer.status, dict(answer.headers.items())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers.items())


def lives(site: Site, token: str) -> bool:
    """Whether this cookie opens a page and an export; never one without the other."""
    status, _ = get(site, "/export/mailboxes.csv", **{COOKIE: token})
    with tab(site.url, token) as mine:
        mine.open("mailboxes")
        on_page = "User name" not in {getattr(part, "label", "") for part in mine.parts.values()}
    assert (status == 200) == on_page
    return on_page


def sign_in(site: Site, name: str, password: str = PASSWORD, browser: str = "a-browser", planted: str = "") -> str:
    """As a browser does it: the form, the ticket. Gives the ticket's address."""
    with tab(site.url, **({"Cookie": f"{XSRF_COOKIE}={browser}; {COOKIE}={planted}"})) as mine:
        mine.open()
        mine.fill("User name", name)
        mine.fill("Password", password)
        mine.press("Sign in")
        return mine.sent_away_to


def token_in(headers: dict[str, str]) -> str:
    return (
        next((v for k, v in headers.items() if k.lower() == "set-cookie" and v.startswith(COOKIE)), "")
        .partition("=")[2]
        .partition(";")[0]
    )


@pytest.fixture
def person(site: Site) -> str:
    """An operator of this test only."""
    name = f"p{uuid4().hex[:10]}"
    site.app.services.operators.create(
        SYSTEM, name, Role.DOMAIN_ADMIN, domains=["example.com"], password=Secret(PASSWORD)
    )
    return name


# ---- fixation and tickets -----------------------------------------------------------------------


def test_a_planted_cookie_is_not_what_one_is_signed_in_with(site: Site, person: str) -> None:
    status, headers = get(
        site,
        sign_in(site, person, planted="planted-by-somebody"),
        **{XSRF_COOKIE: "a-browser", COOKIE: "planted-by-somebody"},
    )
    assert status == 303
    assert token_in(headers) not in ("", "planted-by-somebody")
    assert lives(site, token_in(headers))
    assert not lives(site, "planted-by-somebody")


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(site: Site, person: str) -> None:
    _, headers = get(site, sign_in(site, person), **{XSRF_COOKIE: "a-browser"})
    cookie = next(v for k, v in headers.items() if k.lower() == "set-cookie").lower()
    assert COOKIE.startswith("__Host-")
    assert {"httponly", "secure", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert "domain=" not in cookie


def test_a_ticket_is_for_one_browser_and_one_time(site: Site, person: str) -> None:
    address = sign_in(site, person)
    assert not token_in(get(site, address, **{XSRF_COOKIE: "another-browser"})[1])
    assert not token_in(get(site, address, **{XSRF_COOKIE: "a-browser"})[1]), (
        "a stolen ticket was tried; it is worth nothing now"
    )
    address = sign_in(site, person)
    assert token_in(get(site, address, **{XSRF_COOKIE: "a-browser"})[1])
    assert not token_in(get(site, address, **{XSRF_COOKIE: "a-browser"})[1])


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%5cevil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie:x=1",
        "http:evil.example",
        "///evil.example",
        "/\t/evil.example",
        " //evil.example",
        "/x@evil.example",
        "https:///evil.example",
        "//evil.example/..;/",
    ],
)
def test_a_redirect_stays_on_this_site(site: Site, target: str) -> None:
    status, headers = get(site, "/auth/session?" + urllib.parse.urlencode({"ticket": "x", "next": target}))
    assert status == 303
    place = next(value for name, value in headers.items() if name.lower() == "location")
    found = urllib.parse.urljoin(f"{site.url}/auth/session", place.replace("\\", "/"))
    assert urllib.parse.urlsplit(found).netloc == urllib.parse.urlsplit(site.url).netloc, place
    assert "set-cookie" not in {name.lower() for name in headers}


# ---- a cookie used again ------------------------------------------------------------------------


def test_a_cookie_is_worth_nothing_after_the_sign_out(site: Site, person: str) -> None:
    token = token_of(site.app, person)
    with tab(site.url, token) as first, tab(site.url, token) as second:
        first.open()
        second.open("mailboxes")
        first.press("Sign out")
        second.run()
        assert b"anna.abe" not in second.raw
    assert not lives(site, token)


def test_other_cookies_end_with_the_password(site: Site, person: str) -> None:
    mine, other = token_of(site.app, person), token_of(site.app, person)
    who = site.app.sign_in.current(Secret(mine))
    assert who
    site.app.sign_in.change_password(who, Secret(PASSWORD), Secret("Another-Horse-2"))
    assert lives(site, mine)
    assert not lives(site, other)


@pytest.mark.parametrize("end", ["disable", "reset", "end"])
def test_a_cookie_ends_when_a_super_admin_says_so(site: Site, person: str, end: str) -> None:
    token, uid = token_of(site.app, person), operator(site.app, person)["uid"]
    assert lives(site, token)
    write = site.app.services
    if end == "disable":
        write.operators.edit(SYSTEM, uid, enabled=False)
    elif end == "reset":
        write.operators.set_password(SYSTEM, uid)
    else:
        write.operators.end_sessions(SYSTEM, uid)
    assert not lives(site, token)


# ---- rights taken away in mid-session -----------------------------------------------------------


def denials(site: Site, name: str) -> int:
    return site.app.queries.logs(SYSTEM, LogFilter(operator=name, resource_type="access")).total


def with_form_open(mine: Tab, address: str) -> None:
    mine.open("mailboxes")
    mine.press("Create mailbox")
    mine.fill("Address", address)


def test_a_domain_taken_away_counts_at_the_next_click(site: Site, person: str) -> None:
    with tab(site.url, token_of(site.app, person)) as mine:
        with_form_open(mine, "late@example.com")
        site.app.services.operators.edit(SYSTEM, operator(site.app, person)["uid"], domains=["sales.example.com"])
        mine.press("Create")
        assert "not yours" in mine.said
        mine.open("mailboxes")
        assert b"anna.abe@example.com" not in mine.raw
    assert denials(site, person) == 1


def test_a_role_taken_away_counts_at_the_next_click(site: Site, person: str) -> None:
    uid = operator(site.app, person)["uid"]
    site.app.services.operators.edit(SYSTEM, uid, role=Role.SUPER_ADMIN)
    with tab(site.url, token_of(site.app, person)) as mine, tab(site.url, token_of(site.app, person)) as settings:
        with_form_open(mine, "late@example.com")
        settings.open("settings", "st_part=operators")
        settings.press("Add operator")
        settings.fill("User name", "sneaked")
        site.app.services.operators.edit(SYSTEM, uid, role=Role.VIEWER)
        mine.press("Create")
        assert "does not allow" in mine.said
        settings.press("Add")
        assert "does not allow" in settings.said
    assert denials(site, person) >= 1
    assert not [row for row in site.app.queries.operators(SYSTEM) if row["username"] == "sneaked"]


def test_the_log_holds_no_token(site: Site, person: str, tmp_path: Path) -> None:
    token = token_of(site.app, person)
    address = sign_in(site, person)
    get(site, address, **{XSRF_COOKIE: "a-browser"})
    lives(site, token)
    written = wait_for(lambda: "/auth/session" in (text := site.log.read_text()) and text)
    assert token not in written
    assert PASSWORD not in written
