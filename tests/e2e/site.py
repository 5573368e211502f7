"""A real dashboard for a browser: a server process on a free port, with a small company in a temporary folder."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from playwright.sync_api import Browser, Page, Playwright, expect

from provision.app import Postroom, open_postroom
from provision.core.access import Actor, Role
from provision.core.secret import Secret
from provision.jobs.loop import Jobs
from provision.ops.sample import MAIN, make_sample
from provision.settings.config import Settings
from tests.waiting import comes_true
from webui.http.sessions import COOKIE

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = Actor.system("set-up")
PASSWORD = "Correct-Horse-1"
BEFORE = timedelta(seconds=40)  # how long all is there when a test begins
LOG = "server.log"  # of the process, in the folder of its site
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Site:
    """`app` works on the same database as the server process."""

    url: str
    app: Postroom
    volume: Path
    log: Path
    pid: int


def seed(folder: Path, *, history_days: int = 0) -> Postroom:
    """The company, and alice (SuperAdmin), dora (DomainAdmin of the main domain), vera (Viewer)."""
    app = open_postroom(Settings(data_dir=folder / "data", sign_in_attempts_per_ip=1000))
    start = datetime.now(UTC) - timedelta(days=history_days) - BEFORE
    with time_machine.travel(start, tick=True):
        make_sample(app, folder / "config")
        people = (
            ("alice", "Alice Arden", Role.SUPER_ADMIN, ()),
            ("dora", "Dora Dietz", Role.DOMAIN_ADMIN, (MAIN,)),
            ("vera", "Vera Vogt", Role.VIEWER, ()),
        )
        for name, display_name, role, domains in people:
            app.services.operators.create(
                SYSTEM, name, role, display_name=display_name, domains=domains, password=Secret(PASSWORD)
            )
    with time_machine.travel(start + BEFORE / 2, tick=True):
        Jobs(app).sweep()  # what was delivered is looked at once more; later a difference is somebody's wish
    for day in range(1, history_days + 1):
        _a_day(app, start + timedelta(days=day), day)
    return app


def _a_day(app: Postroom, when: datetime, day: int) -> None:
    """Some operations of the past, so that charts show something."""
    actor = Actor("alice" if day % 2 else "dora", Role.SUPER_ADMIN, ip="192.0.2.10")
    with time_machine.travel(when - timedelta(minutes=7), tick=True):
        rows = app.queries.mailboxes(actor, size=6 + day * 5 % 7).rows
        for row in rows[: day * 3 % 8]:
            app.services.mailboxes.edit(
                actor, row["uid"], quota_bytes=row["quota_bytes"] + (64 << 20) * (1 if day % 2 else -1)
            )
        if day % 5 == 0:
            app.services.sync.retry_all(actor)


@contextmanager
def serve(folder: Path, *, history_days: int = 0, seeded: bool = True, **environment: str) -> Iterator[Site]:
    """The company, if it is wanted, and a server process for it."""
    app = seed(folder, history_days=history_days) if seeded else open_postroom(Settings(data_dir=folder / "data"))
    try:
        with server_process(folder, **environment) as (url, pid):
            yield Site(url, app, folder / "config", folder / LOG, pid)
    finally:
        app.close()


@contextmanager
def server_process(folder: Path, *, root: Path = ROOT, **environment: str) -> Iterator[tuple[str, int]]:
    """Start the server of this checkout as a person does, and stop it at the end: its address and its process id."""
    port, log = _free_port(), folder / LOG
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port)]
    settings = {
        "POSTROOM_DATA_DIR": str(folder / "data"),
        "POSTROOM_SIGN_IN_ATTEMPTS_PER_IP": "1000",
        "PYTHONPATH": ".",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **settings, **environment}
        )
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    comes_true(lambda: _is_healthy(url) or process.poll() is not None, 60)
    if not _is_healthy(url):
        raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


def fill_sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def operator(app: Postroom, name: str) -> dict[str, Any]:
    return next(dict(row) for row in app.queries.operators(SYSTEM) if row["username"] == name)


def token_of(app: Postroom, name: str) -> str:
    """A session of this operator, without a sign-in."""
    return app.sign_in.open_session(operator(app, name)["uid"], "127.0.0.1").reveal()


def enter(page: Page, site: Site, name: str, path: str = "/") -> None:
    """As `sign_in`, with a session that is begun already: half the time, where the sign-in is not what is tested."""
    kept = {"name": COOKIE, "value": token_of(site.app, name), "domain": "127.0.0.1", "path": "/"}
    page.context.add_cookies([{**kept, "httpOnly": True, "secure": True, "sameSite": "Strict"}])
    page.goto(site.url + path)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=20_000)


def sign_in(page: Page, site: Site, name: str, path: str = "/", password: str = PASSWORD) -> None:
    """Open a page as this operator; afterwards their name stands in the sidebar."""
    page.goto(site.url + path)
    fill_sign_in(page, name, password)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=20_000)
