"""What replicas.py and soak.py share: processes that are killed, people who go on working, the reckoning after it."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
from port_for import get_port

from provision.app import Postroom
from provision.core.state import Resource
from provision.servers.dms.files import DmsFiles
from provision.services.tokens import SCOPES
from provision.storage.database import ROOT
from provision.storage.models import SyncStatus
from tests.bench.world import ADMIN, volume
from tests.conftest import HASH, OTHER_HASH
from tests.waiting import comes_true

DOMAIN = "example.com"
PATIENCE_SECONDS = 300
OPERATIONS = ("create", "create", "create", "quota", "quota", "disable", "enable", "alias", "delete")


# ---- the processes -------------------------------------------------------------------------


@dataclass
class Fleet:
    """Replicas of one product. `kills`: process id and moment of each kill."""

    app: Postroom
    folder: Path
    settings: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    kills: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def start(self, name: str) -> None:
        command = [sys.executable, "-m", "tests.bench.replica"]
        if name.startswith("web"):
            port = self.ports.setdefault(name, get_port(None) or 0)
            command += ["web", str(port), str(self.notes)]
        else:
            command += ["worker", str(self.notes)]
        given = {
            "POSTROOM_DATA_DIR": str(self.app.settings.data_dir),
            "POSTROOM_DATABASE_URL": self.app.settings.database_url,
            "POSTROOM_API_CALLS_PER_MINUTE": "10000000",
            "POSTROOM_RETRY_BASE_SECONDS": "0.5",
            "POSTROOM_RETRY_CAP_SECONDS": "2",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **given, **self.settings}, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self, name: str) -> None:
        """As a power cut does; and started anew at once."""
        process = self.processes[name]
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills.append((name, process.pid, time.monotonic_ns()))
        self.start(name)

    def up(self) -> list[str]:
        """Those that can be killed in the middle of work."""
        return [name for name in self.processes if name not in self.ports or _answers(self.ports[name])]

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def wait_until_up(self) -> None:
        for port in self.ports.values():
            comes_true(lambda port=port: _answers(port), 60)  # type: ignore[misc]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}/api/provision" for port in self.ports.values()]


@contextmanager
def fleet(app: Postroom, folder: Path, names: list[str], **settings: str) -> Iterator[Fleet]:
    made = Fleet(app, folder, settings)
    app.services.domains.create(ADMIN, DOMAIN, "main")
    try:
        for name in names:
            made.start(name)
        made.wait_until_up()
        yield made
    finally:
        made.stop()


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


# ---- the people ----------------------------------------------------------------------------


@dataclass
class Person:
    """Works on mailboxes of their own over the API, tries again whatever was not answered, and knows what should be."""

    number: int
    fleet: Fleet
    token: str
    stopped: threading.Event
    pause_seconds: float
    mailboxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def work(self) -> None:
        choose = random.Random(self.number)
        with httpx2.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=30) as self.http:
            while not self.stopped.is_set():
                operation = choose.choice(OPERATIONS)
                if operation in ("create", "alias") or self.mailboxes:
                    getattr(self, f"_{operation}")(choose)
                self.stopped.wait(self.pause_seconds)

    def call(self, method: str, path: str, *, fine: tuple[int, ...] = (), **more: Any) -> Any:
        """The answer of whichever replica lives; `fine`: what it says when an earlier try did it already."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            url = random.choice(self.fleet.urls)
            try:
                answer = self.http.request(method, url + path, **more)
                if answer.status_code < 300 or answer.status_code in fine:
                    self.counts["changes"] += method != "GET"
                    return answer.json()
                self.counts[f"answered {answer.status_code}"] += 1
                if answer.status_code < 500:
                    raise RuntimeError(f"{method} {path}: {answer.text}")
            except httpx2.HTTPError:
                self.counts["not answered"] += 1
            if time.monotonic() > deadline:
                raise RuntimeError(f"{method} {path} found nobody for {PATIENCE_SECONDS} s")
            time.sleep(0.2)

    def _create(self, choose: random.Random) -> None:
        address = f"p{self.number}-{self.counts['create']}@{DOMAIN}"
        self.counts["create"] += 1
        given = {"email": address, "passwordHash": HASH.reveal(), "storageQuota": 100}
        self.call("POST", "/mailboxes", json=given, fine=(409,))
        found = self.call("GET", "/mailboxes", params={"search": address})["items"]
        uid = next(row["id"] for row in found if row["email"] == address)
        self.mailboxes[address] = {"id": uid, "quota": 100, "enabled": True}

    def _one(self, choose: random.Random) -> tuple[str, dict[str, Any]]:
        address = choose.choice(sorted(self.mailboxes))
        return address, self.mailboxes[address]

    def _quota(self, choose: random.Random) -> None:
        _, box = self._one(choose)
        quota = choose.randint(1, 5000)
        self.call("PATCH", f"/mailboxes/{box['id']}/quota", json={"storageQuota": quota})
        box["quota"] = quota

    def _disable(self, choose: random.Random) -> None:
        self._switch(choose, on=False)

    def _enable(self, choose: random.Random) -> None:
        self._switch(choose, on=True)

    def _switch(self, choose: random.Random, *, on: bool) -> None:
        _, box = self._one(choose)
        self.call("PATCH", f"/mailboxes/{box['id']}/{'enable' if on else 'disable'}", fine=(409,))
        box["enabled"] = on

    def _alias(self, choose: random.Random) -> None:
        address = f"a{self.number}-{self.counts['alias']}@{DOMAIN}"
        self.counts["alias"] += 1
        target = f"{self.number}@elsewhere.example"
        self.call("POST", "/aliases", json={"aliasAddress": address, "destinations": [target]}, fine=(409,))
        self.aliases[address] = target

    def _delete(self, choose: random.Random) -> None:
        address, box = self._one(choose)
        self.call("DELETE", f"/mailboxes/{box['id']}", params={"force": "true"}, fine=(404,))
        del self.mailboxes[address]


@dataclass
class ByHand:
    """Somebody on the server appends accounts to the file, as `setup` and an editor do."""

    folder: Path
    addresses: list[str] = field(default_factory=list)

    def add(self) -> None:
        address = f"hand{len(self.addresses)}@{DOMAIN}"
        try:
            with (self.folder / "postfix-accounts.cf").open("a") as file:
                file.write(f"{address}|{OTHER_HASH.reveal()}\n")
            self.addresses.append(address)
        except OSError:
            pass  # the server is away


@dataclass
class Watcher:
    """The operator who looks at an alarm and lets the push go on: so many deletions at once are meant here."""

    app: Postroom
    stopped: threading.Event = field(default_factory=threading.Event)
    answered: list[str] = field(default_factory=list)

    def work(self) -> None:
        while not self.stopped.wait(1):
            for server in self.app.queries.health(ADMIN):
                if server["alarm"]:
                    self.answered.append(server["alarm"])
                    self.app.services.sync.force_push(ADMIN, server["uid"])


@contextmanager
def watching(app: Postroom) -> Iterator[Watcher]:
    watcher = Watcher(app)
    thread = threading.Thread(target=watcher.work)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stopped.set()
        thread.join()


def people(made: Fleet, number: int, pause_seconds: float) -> tuple[list[Person], Callable[[], None]]:
    """They begin to work; and what ends it. That raises what one of them was stopped by before."""
    _row, token = made.app.services.tokens.create(ADMIN, "load", SCOPES)
    stopped = threading.Event()
    crowd = [Person(n, made, token.reveal(), stopped, pause_seconds) for n in range(number)]
    pool = ThreadPoolExecutor(number)
    work = [pool.submit(person.work) for person in crowd]

    def go_home() -> None:
        stopped.set()
        for one in work:
            one.result()

    return crowd, go_home


# ---- the reckoning -------------------------------------------------------------------------


@dataclass(frozen=True)
class Reckoning:
    """`lost`: what should be on the server and is not, or not so; `too_many`: what should not be there."""

    lost: list[str]
    too_many: list[str]
    not_synced: int
    overlapping: int
    writes: int
    chain_intact: bool
    drained_seconds: float


def reckon(made: Fleet, crowd: list[Person], hand: ByHand) -> Reckoning:
    """Wait until all is delivered, then compare the server with what everybody remembers."""
    began = time.monotonic()
    comes_true(lambda: _waiting(made.app) == 0, PATIENCE_SECONDS)
    drained = time.monotonic() - began
    state = DmsFiles({"path": str(volume(made.app))}, 10).read()
    wanted = {address: box for person in crowd for address, box in person.mailboxes.items()}
    lost = [address for address, box in wanted.items() if not _is_so(state.mailboxes.get(address), box)]
    lost += [address for address in hand.addresses if address not in state.mailboxes]
    aliases = {address: target for person in crowd for address, target in person.aliases.items()}
    lost += [address for address, target in aliases.items() if _targets(state, address) != {target}]
    too_many = state.addresses(Resource.MAILBOX) - wanted.keys() - set(hand.addresses)
    spans, overlapping = _spans(made)
    return Reckoning(
        lost,
        sorted(too_many),
        _waiting(made.app),
        overlapping,
        spans,
        made.app.queries.verify_audit(ADMIN).intact,
        drained,
    )


def _is_so(found: Any, box: dict[str, Any]) -> bool:
    return found is not None and (found.quota_bytes, found.enabled) == (box["quota"] << 20, box["enabled"])


def _targets(state: Any, address: str) -> set[str]:
    found = state.aliases.get(address)
    return set(found.destinations) if found else set()


def _waiting(app: Postroom) -> int:
    counts = app.queries.counts(ADMIN)
    return sum(counts.get(f"{kind}.{word}", 0) for kind in Resource for word in (SyncStatus.PENDING, SyncStatus.FAILED))


def _spans(made: Fleet) -> tuple[int, int]:
    """How many writes there were, and how many began before another one's end; a kill ends a write, too."""
    ends = {pid: moment for _, pid, moment in made.kills}
    open_spans: dict[int, int] = {}
    spans: list[tuple[int, int]] = []
    for line in made.notes.read_text().splitlines():
        pid, moment, what = line.split()
        if what == "begin":
            open_spans[int(pid)] = int(moment)
        else:
            spans.append((open_spans.pop(int(pid)), int(moment)))
    spans += [(began, ends.get(pid, began)) for pid, began in open_spans.items()]
    spans.sort()
    return len(spans), sum(1 for one, other in pairwise(spans) if other[0] < one[1])
