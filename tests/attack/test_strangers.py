"""Who is not signed in, or holds a token: uploads, half-sent requests, many pages, large bodies, other origins."""

import contextlib
import http.client
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from provision.core.access import Actor, Permission
from tests.attack.tab import Tab, tab
from tests.attack.test_http import Answer, ask
from tests.e2e.site import Site, serve, token_of
from tests.waiting import comes_true
from webui.http.sessions import COOKIE
from webui.http.strangers import ALL_BYTES, PAGES, TAB_BYTES

SYSTEM = Actor.system("attack")
MB = 1 << 20


# ---- uploads -------------------------------------------------------------------------------------


def upload(site: Site, page: Tab, size: int, token: str = "", name: str = "f") -> int:
    xsrf = generate_xsrf_token_string()
    cookies = [f"_streamlit_xsrf={xsrf}", *([f"{COOKIE}={token}"] if token else [])]
    head = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.csv"\r\nContent-Type: text/csv\r\n\r\n'
    headers = {
        "Cookie": "; ".join(cookies),
        "X-Xsrftoken": xsrf,
        "Content-Type": "multipart/form-data; boundary=B",
    }
    body = head + b"a" * size + b"\r\n--B--\r\n"
    return ask(site, "PUT", f"/_stcore/upload_file/{page.session_id}/{name}", headers, body)[0]


def test_a_stranger_uploads_nothing(site: Site) -> None:
    with tab(site.url) as stranger:
        stranger.open("")
        assert upload(site, stranger, 1000) == 401
        assert upload(site, stranger, 1000, "invented") == 401


def test_who_may_only_look_uploads_nothing(site: Site) -> None:
    token = token_of(site.app, "vera")
    with tab(site.url, token) as page:
        page.open("")
        assert upload(site, page, 1000, token) == 403


def test_one_page_and_all_together_hold_so_much_and_no_more(site: Site) -> None:
    token, size = token_of(site.app, "alice"), 9 * MB
    with contextlib.ExitStack() as stack:
        answers = []
        for number in range(ALL_BYTES // TAB_BYTES + 1):
            page = stack.enter_context(tab(site.url, token))
            page.open("mailboxes")
            answers.append([upload(site, page, size, token, f"f{number}-{n}") for n in range(4)])
    assert answers[0] == [204, 204, 204, 413]
    assert answers[-1][-1] == 413
    kept = sum(answer == 204 for page in answers for answer in page)
    assert kept * size <= ALL_BYTES


# ---- half-sent requests --------------------------------------------------------------------------


@contextlib.contextmanager
def half_sent(site: Site, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    parts = urlsplit(site.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 2000)), hard))
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            peer = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=5))
            with contextlib.suppress(OSError):
                peer.sendall(data)
            opened.append(peer)
        yield opened


def is_over(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        while peer.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def seconds_of(site: Site, path: str = "/health") -> float:
    begun = time.monotonic()
    assert ask(site, "GET", path)[0] == 200
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def other_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One whose process is treated badly."""
    with serve(tmp_path_factory.mktemp("treated badly")) as running:
        yield running


HALF_HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: "
HALF_BODY = b'POST /api/provision/health HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"a'


def trickle(site: Site) -> bytes:
    """With a body whose rest does not come, from somebody with a token."""
    token = site.app.services.tokens.create(SYSTEM, "slow", [Permission.MAILBOX_WRITE])[1].reveal()
    head = f"POST /api/provision/mailboxes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Length: 99\r\nContent-Type: application/json\r\n\r\n{{".encode()


@pytest.mark.slow
def test_half_sent_requests_of_every_kind_are_let_go(other_site: Site) -> None:
    """All at once, for each takes its fifteen seconds; a thousand of one kind, or of another one at night."""
    kinds = {HALF_HEAD: 1100, b"": 100, HALF_BODY: 100, trickle(other_site): 3}
    with contextlib.ExitStack() as stack:
        opened = [peer for data, n in kinds.items() for peer in stack.enter_context(half_sent(other_site, n, data))]
        assert seconds_of(other_site) < 5
        comes_true(lambda: all(map(is_over, opened)), 40)
        assert all(map(is_over, opened))
    assert other_site.log.stat().st_size < MB


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("data", [b"", HALF_BODY])
def test_many_half_sent_requests_are_let_go(other_site: Site, data: bytes) -> None:
    with half_sent(other_site, 1100, data) as opened:
        assert seconds_of(other_site) < 5
        comes_true(lambda: all(map(is_over, opened)), 40)
        assert all(map(is_over, opened))
    assert other_site.log.stat().st_size < MB


@pytest.mark.slow
def test_too_many_open_files_are_told_once_and_pass(other_site: Site) -> None:
    """Also where the system gives no more."""
    limit = len(os.listdir(f"/proc/{other_site.pid}/fd")) + 20
    before = resource.prlimit(other_site.pid, resource.RLIMIT_NOFILE)
    size = other_site.log.stat().st_size
    resource.prlimit(other_site.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        with half_sent(other_site, 100, HALF_HEAD):
            comes_true(lambda: "too many open files" in other_site.log.read_text(), 20)
    finally:
        resource.prlimit(other_site.pid, resource.RLIMIT_NOFILE, before)
    comes_true(lambda: ask(other_site, "GET", "/health")[0] == 200, 30)
    told = other_site.log.read_text()
    assert told.count("too many open files") == 1
    assert other_site.log.stat().st_size - size < 100_000


# ---- pages of strangers --------------------------------------------------------------------------


@pytest.mark.slow
def test_many_pages_of_strangers_keep_nobody_waiting(other_site: Site) -> None:
    address, opened, refused = other_site.url.replace("http:", "ws:") + "/_stcore/stream", [], 0
    with contextlib.ExitStack() as stack:
        for _ in range(PAGES + 20):
            try:
                opened.append(stack.enter_context(connect(address, subprotocols=[Subprotocol("streamlit")])))
            except WebSocketException:
                refused += 1
        assert (len(opened), refused) == (PAGES, 20)
        assert seconds_of(other_site) < 2
        token = token_of(other_site.app, "alice")
        with tab(other_site.url, token) as page:
            page.open("mailboxes")
            assert "Mailboxes" in page.said
    with tab(other_site.url) as stranger:  # the others are gone
        stranger.open("")
        assert "Sign in" in stranger.labels


# ---- bodies --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bearer(site: Site) -> dict[str, str]:
    scopes = [Permission.MAILBOX_WRITE, Permission.MAILBOX_READ]
    token = site.app.services.tokens.create(SYSTEM, "bodies", scopes)[1]
    return {"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"}


def post(site: Site, bearer: dict[str, str], body: bytes, path: str = "/mailboxes", **headers: str) -> Answer:
    return ask(site, "POST", f"/api/provision{path}", {**bearer, **headers}, body)


def test_json_of_more_than_a_megabyte_is_refused_at_once(site: Site, bearer: dict[str, str]) -> None:
    body = json.dumps({f"key{number}": number for number in range(200_000)}).encode()
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError, http.client.HTTPException):  # it may end before all is sent
        status, _, answer = post(site, bearer, body)
        assert (status, json.loads(answer)["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert time.monotonic() - begun < 5
    assert seconds_of(site) < 2


def test_csv_may_be_larger(site: Site, bearer: dict[str, str]) -> None:
    rows = "email,password\n" + "".join(f"u{n}@nowhere.example,{'x' * 100}\n" for n in range(12_000))
    assert len(rows) > MB
    status, _, _ = post(site, bearer, rows.encode(), "/mailboxes/import?dryRun=true", **{"Content-Type": "text/csv"})
    assert status in (200, 400)


@pytest.mark.parametrize(
    "body",
    [
        {"x" * 5000: 1},
        {"email": "a" * 300 + "@example.com", "password": "Correct-Horse-1"},
        {"email": "anna@example.com", "aliases": ["b" * 4000]},
        {f"k{n}": n for n in range(1000)},
        {"email": {"y" * 3000: {"z" * 3000: 1}}},
    ],
)
def test_an_error_gives_back_200_characters_at_most(site: Site, bearer: dict[str, str], body: object) -> None:
    status, _, answer = post(site, bearer, json.dumps(body).encode())
    assert status in (400, 422)
    assert len(answer) < 10_000
    told = json.loads(answer)
    for text in (told["error"], *map(str, told["details"].get("fields", []))):
        assert max(map(len, text.split())) <= 250


# ---- hosts and origins ---------------------------------------------------------------------------


def opens(site: Site, origin: str | None, host: str | None = None, **more: str) -> bool:
    address = site.url.replace("http:", "ws:") + "/_stcore/stream"
    headers = {**({"Origin": origin} if origin else {}), **({"Host": host} if host else {}), **more}
    try:
        with connect(address, additional_headers=headers, subprotocols=[Subprotocol("streamlit")]):
            return True
    except WebSocketException:
        return False


def test_a_page_of_another_port_of_this_machine_opens_no_websocket(site: Site) -> None:
    cookie = {"Cookie": f"{COOKIE}={token_of(site.app, 'alice')}"}
    port = urlsplit(site.url).port
    assert opens(site, site.url, **cookie)
    assert opens(site, None, **cookie)
    for origin in (
        "http://127.0.0.1:1",
        "http://localhost:8000",
        f"http://localhost:{port}",
        "https://127.0.0.1",
        "null",
    ):
        assert not opens(site, origin, **cookie), origin


def test_hosts_that_are_not_named_are_not_served(tmp_path: Path) -> None:
    with serve(tmp_path, STREAMLIT_SERVER_ALLOWED_HOSTS="127.0.0.1") as named:
        assert ask(named, "GET", "/", {"Host": "evil.example"})[0] == 400
        assert ask(named, "GET", "/api/provision/docs", {"Host": "evil.example:80"})[0] == 400
        assert ask(named, "GET", "/health", {"Host": "evil.example"})[0] == 200  # of a container's own check
        assert ask(named, "GET", "/")[0] == 200
