"""Behind a reverse proxy with HTTPS: below a base path, and as two processes of which one goes away."""

import hashlib
import hmac
import http.client
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from provision.core.access import Actor
from tests.deploy.proxies import caddy, nginx, unverified
from tests.e2e.site import Site, serve, server_process, sign_in
from webui.http.sessions import COOKIE

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("test")


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Page]:
    """A browser that takes the certificate of the test."""
    context = chromium.new_context(ignore_https_errors=True, locale="en-GB")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def admin_site(tmp_path: Path) -> Iterator[Site]:
    """https://…/admin by nginx, which alone is believed; 127.0.0.3 may not come in."""
    environment = {
        "STREAMLIT_SERVER_BASE_URL_PATH": "admin",
        "POSTROOM_TRUSTED_PROXIES": "127.0.0.1",
        "FORWARDED_ALLOW_IPS": "",
        "ALLOWED_NETWORKS": "127.0.0.1 127.0.0.2",
    }
    with serve(tmp_path, **environment) as site, nginx(tmp_path / "nginx", site.url) as proxy:
        yield replace(site, url=f"{proxy}/admin")


def call(site: Site, path: str, source: str = "127.0.0.1", **headers: str) -> tuple[int, dict[str, str], str]:
    """One request from this address, by the proxy."""
    parts = urlsplit(site.url)
    line = http.client.HTTPSConnection(
        "127.0.0.1", parts.port, context=unverified(), source_address=(source, 0), timeout=20
    )
    try:
        line.request(
            "GET", parts.path + path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = line.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        line.close()


def test_signing_in_and_out_below_a_base_path(admin_site: Site, visitor: Page) -> None:
    sign_in(visitor, admin_site, "alice", "/mailboxes?mb_search=a")
    expect(visitor.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()
    assert urlsplit(visitor.url).path == "/admin/mailboxes"
    visitor.reload()
    expect(visitor.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()
    assert next(c for c in visitor.context.cookies() if c["name"] == COOKIE)["secure"]
    link = visitor.get_by_role("link", name="Export CSV").get_attribute("href")
    assert link
    assert link.startswith("/admin/export/mailboxes.csv?")
    exported = visitor.request.get(admin_site.url.removesuffix("/admin") + link)
    assert exported.text().startswith("email,")
    visitor.get_by_role("button", name="Sign out").click()
    expect(visitor.get_by_label("User name")).to_be_visible()
    assert urlsplit(visitor.url).path == "/admin/"
    assert not [c for c in visitor.context.cookies() if c["name"] == COOKIE]


def test_fonts_and_icon_come_from_below_the_base_path(admin_site: Site, visitor: Page) -> None:
    seen: list[tuple[int, str]] = []
    visitor.on("response", lambda response: seen.append((response.status, urlsplit(response.url).path)))
    sign_in(visitor, admin_site, "vera")
    assert any(path.endswith(".woff2") for _, path in seen)
    assert not [path for status, path in seen if status >= 400 or not f"{path}/".startswith("/admin/")]


def test_the_api_below_a_base_path(admin_site: Site) -> None:
    token = admin_site.app.services.tokens.create(SYSTEM, "test", ["mailbox:read"])[1].reveal()
    status, headers, body = call(admin_site, "/api/provision/mailboxes", Authorization=f"Bearer {token}")
    assert (status, json.loads(body)["total"] > 0) == (200, True)
    assert "strict-transport-security" in headers, "the proxy's word that it was HTTPS is believed"
    assert json.loads(call(admin_site, "/api/provision/openapi.json")[2])["servers"] == [{"url": "/admin/api"}]
    assert call(admin_site, "/health")[0] == 200
    assert call(admin_site, "/_stcore/metrics")[0] == 404
    assert call(admin_site, "/export/mailboxes.csv")[0] == 401


@pytest.mark.parametrize(("source", "status"), [("127.0.0.2", 200), ("127.0.0.3", 403)])
def test_the_address_behind_the_proxy_counts_and_an_invented_one_does_not(
    admin_site: Site, source: str, status: int
) -> None:
    assert call(admin_site, "/api/provision/docs", source)[0] == status
    assert call(admin_site, "/api/provision/docs", source, X_Forwarded_For="127.0.0.1")[0] == status


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_of_two_processes_goes_away(
    tmp_path: Path, visitor: Page, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    """The sign-in is in the database; the browser goes on with the other process."""
    monkeypatch.setenv("POSTROOM_DATABASE_URL", database_url)
    environment = {"POSTROOM_JOBS": "false", "POSTROOM_TRUSTED_PROXIES": "127.0.0.1", "FORWARDED_ALLOW_IPS": ""}
    shared = {**environment, "POSTROOM_DATA_DIR": str(tmp_path / "one" / "data")}
    (tmp_path / "two").mkdir()
    with ExitStack() as stack:
        one = stack.enter_context(serve(tmp_path / "one", **environment))
        other_url, other_pid = stack.enter_context(server_process(tmp_path / "two", **shared))
        pids = {known_as(one.url): one.pid, known_as(other_url): other_pid}
        proxy = stack.enter_context(caddy(tmp_path / "caddy", [one.url, other_url]))
        site = replace(one, url=proxy)
        sign_in(visitor, site, "alice", "/mailboxes")
        chosen = process_of(visitor)
        visitor.reload()
        expect(visitor.get_by_role("button", name="Sign out")).to_be_visible()
        assert process_of(visitor) == chosen, "the browser stays with its process"
        os.kill(pids[chosen], signal.SIGKILL)
        visitor.reload()
        expect(visitor.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()
        expect(visitor.get_by_role("button", name="Sign out")).to_be_visible()
        assert process_of(visitor) != chosen


def process_of(visitor: Page) -> str:
    return str(next(c["value"] for c in visitor.context.cookies() if c["name"] == "postroom_process"))


def known_as(url: str) -> str:
    """Caddy's cookie for a process. Source: caddy, reverseproxy/selectionpolicies.go, hashCookie."""
    return hmac.new(b"", url.removeprefix("http://").encode(), hashlib.sha256).hexdigest()
