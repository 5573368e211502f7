"""Raw HTTP: climbing paths, wrong hosts, other sites, odd methods, smuggled or endless requests, headers of answers."""

import contextlib
import http.client
import re
import socket
from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest

from api.app import MOUNT, create_api, document
from tests.attack.naughty import hard
from tests.e2e.site import Site, token_of
from webui.http.proxies import real_address
from webui.http.sessions import COOKIE

Answer = tuple[int, dict[str, str], bytes]
CLIMBS = [
    "../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd", "..\\..\\etc\\passwd", "%252e%252e%252fetc%252fpasswd", "..%c0%af..%c0%afetc/passwd",
    "/etc/passwd", "//etc/passwd", "%00/etc/passwd", "..;/..;/etc/passwd", "../secret.key", "..%2fdata%2fsecret.key",
    "../main.py", "../../dashboard.py", "../../.streamlit/config.toml",
]  # fmt: skip
PLACES = [
    "/",
    "/static/",
    "/app/static/",
    "/media/",
    "/export/",
    "/component/x/",
    "/_stcore/",
    "/_stcore/upload_file/",
    "/_stcore/bidi-components/",
    "/api/",
    "/api/provision/",
]
ROUTES = [
    "/", "/mailboxes", "/health", "/metrics", "/auth/session", "/auth/logout", "/export/mailboxes.csv",
    "/export/logs.csv", "/export/import-rejected.csv", "/export/import-passwords.csv", "/export/mailboxes-template.csv",
    "/api/provision/health", "/api/provision/docs", "/api/provision/openapi.json", "/api/provision/mailboxes",
    "/export/aliases.csv", "/_stcore/health", "/_stcore/host-config", "/app/static/icon.png", "/nowhere",
]  # fmt: skip
SECRETS = (b"root:x:", b"[theme", b"import streamlit", b"BEGIN", b"def ")


def ask(site: Site, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    """The path goes out as it stands here."""
    parts = urlsplit(site.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def talk(site: Site, data: bytes, seconds: float = 3) -> bytes:
    """What comes back for these bytes."""
    parts = urlsplit(site.url)
    found = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as peer, contextlib.suppress(OSError):
        peer.sendall(data)
        while piece := peer.recv(65536):
            found += piece
    return found


@pytest.fixture
def cookie(site: Site) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={token_of(site.app, 'alice')}"}


@pytest.mark.parametrize("place", PLACES)
def test_no_path_climbs_out(site: Site, cookie: dict[str, str], place: str) -> None:
    for climb in CLIMBS:
        status, _, body = ask(site, "GET", place + climb, cookie)
        assert status < 500, climb
        assert not any(secret in body for secret in SECRETS), (climb, body[:300])


@pytest.mark.parametrize("route", ROUTES)
def test_every_answer_has_its_headers(site: Site, route: str) -> None:
    for headers in ({}, {"Accept-Encoding": "gzip"}):
        status, got, _ = ask(site, "GET", route, headers)
        assert status < 500
        assert got["x-content-type-options"] == "nosniff"
        assert got["x-frame-options"] == "DENY"
        assert got["referrer-policy"] in ("same-origin", "no-referrer")
        policy = dict(part.strip().partition(" ")[::2] for part in got["content-security-policy"].split(";"))
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe-inline" not in policy["script-src"]
        assert "unsafe-eval" not in re.sub("wasm-unsafe-eval", "", policy["script-src"])
        assert not re.search(r"https?:|\*", got["content-security-policy"])
        assert "access-control-allow-origin" not in got or route.startswith(
            "/app/static/"
        )  # fonts and icon: everybody's
        assert "python" not in got.get("server", "").lower()


@pytest.mark.parametrize("route", [route for route in ROUTES if "export" in route])
def test_an_export_is_kept_nowhere_and_opened_by_nobody_else(site: Site, cookie: dict[str, str], route: str) -> None:
    assert ask(site, "GET", route)[0] == 401
    status, got, _ = ask(site, "GET", route, cookie)
    assert status in (200, 404)
    if status == 200:
        assert got["cache-control"] == "no-store"
        assert got["content-disposition"].startswith("attachment")


def test_naughty_filters_of_an_export(site: Site, cookie: dict[str, str]) -> None:
    from urllib.parse import quote

    for text in hard(40):
        for route in (
            "/export/mailboxes.csv",
            "/export/logs.csv",
            "/export/import-rejected.csv",
            "/export/import-passwords.csv",
        ):
            for name in ("search", "domain", "status", "since", "used_percent_from", "import", "operator"):
                status, _, body = ask(site, "GET", f"{route}?{name}={quote(text[:500], safe='')}", cookie)
                assert status in (200, 400, 404), (route, name, text, body[:200])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "X"])
@pytest.mark.parametrize(
    "route",
    ["/", "/health", "/auth/session", "/auth/logout", "/export/mailboxes.csv", "/app/static/icon.png", "/metrics"],
)
def test_other_methods_do_nothing(site: Site, cookie: dict[str, str], method: str, route: str) -> None:
    status, got, body = ask(site, method, route, cookie, b"x")
    assert status in (400, 404, 405), body[:200]
    assert "set-cookie" not in got
    assert b"alice" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1@evil.example", "", "a b", "[::1", "x" * 5000]
)
def test_a_host_header_appears_nowhere(site: Site, host: str) -> None:
    for route in ("/", "/auth/session?next=/x", "/api/provision/health", "/mailboxes/", "/app/static"):
        status, got, body = ask(site, "GET", route, {"Host": host})
        assert status < 500
        assert "evil.example" not in got.get("location", "") + body.decode("latin-1")


def test_another_site_signs_nobody_out_and_uploads_nothing(site: Site, cookie: dict[str, str]) -> None:
    for value in ("cross-site", "same-site"):
        assert "set-cookie" not in ask(site, "GET", "/auth/logout", {**cookie, "Sec-Fetch-Site": value})[1]
    for method in ("PUT", "POST", "DELETE"):
        status, _, _ = ask(site, method, "/_stcore/upload_file/x/y", {**cookie, "Origin": "http://evil.example"}, b"x")
        assert status in (400, 403, 404, 405)


def test_a_cookie_opens_no_api(site: Site, cookie: dict[str, str]) -> None:
    """So there is nothing there that another site could make a browser do."""
    for path, methods in document(create_api(lambda: None))["paths"].items():  # type: ignore[arg-type,return-value]
        for method in methods:
            where = MOUNT + path.replace("{id}", "01a0b1c2-0000-7000-8000-000000000001")
            status, _, _ = ask(site, method.upper(), where, {**cookie, "Content-Type": "text/plain"}, b"{}")
            assert status == (200 if path.endswith("/health") else 401), (method, path)


@pytest.mark.parametrize("invented", ["<script>", "unknown", "x" * 5000, "198.51.100.7:99", "", ",,", "999.1.1.1"])
def test_an_invented_forwarded_address_is_no_address(invented: str) -> None:
    """By somebody whose own address is among the named proxies, so that what they send is looked at."""
    named = [ip_network("10.0.0.0/8")]
    assert real_address("10.0.0.1", [f"{invented}, 10.0.0.9"], named) in ("unknown", "10.0.0.9")
    assert real_address("203.0.113.9", [invented], named) == "203.0.113.9"


# ---- the protocol itself ------------------------------------------------------------------------


SMUGGLED = [
    b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", b"GET /health\r\n\r\n", b"\0\0\0\0\r\n\r\n",
    b"GET /he\0alth HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", SMUGGLED, ids=range(len(SMUGGLED)))
def test_two_requests_are_not_made_of_one(site: Site, data: bytes) -> None:
    found = talk(site, data, seconds=1)
    assert b"postroom_" not in found
    assert found.count(b"HTTP/1.1 200") <= 1
    assert b" 500 " not in found
    assert ask(site, "GET", "/health")[0] == 200


def test_endless_headers_and_bodies_are_cut_off(site: Site) -> None:
    found = talk(site, b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 300_000 + b"\r\n\r\n", seconds=3)
    assert b" 200 " not in found.partition(b"\r\n")[0]
    for route in ("/auth/session", "/health", "/export/mailboxes.csv"):
        status, _, _ = ask(site, "POST", route, body=b"a" * 2_000_000)
        assert status in (404, 405, 413)
    assert ask(site, "GET", "/health")[0] == 200


def test_slow_senders_keep_nobody_waiting(site: Site) -> None:
    parts = urlsplit(site.url)
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            slow = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=5))
            slow.sendall(b"POST /auth/session HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\na")
        assert ask(site, "GET", "/health")[0] == 200


def test_a_large_message_to_the_sign_in_is_cut_off(site: Site) -> None:
    from websockets.exceptions import ConnectionClosed

    from tests.attack.tab import tab

    with tab(site.url) as stranger, contextlib.suppress(ConnectionClosed):
        stranger.socket.send(b"\x0a" + b"a" * (300 << 20))
        stranger.socket.recv(10)
    assert ask(site, "GET", "/health")[0] == 200
