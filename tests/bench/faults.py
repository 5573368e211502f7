"""The faults that docs/reliability.md promises to survive: each a function that lets it happen some times and counts.

`lost`: entries that were accepted and in the end are not on the mail server, not as wanted, or still wait. `repeated`:
accounts that are there twice, and operations whose outcome is recorded twice. `saw`: what the operator read meanwhile.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import time_machine
from sqlalchemy import func, select

from provision.app import Postroom, open_postroom
from provision.core.access import Actor
from provision.core.errors import ProvisionError
from provision.core.state import ServerState, key_of
from provision.jobs.loop import Jobs
from provision.servers.dms.files import DmsFiles
from provision.services.new_mailbox import NewMailbox
from provision.storage.database import ROOT
from provision.storage.models import AuditLink, Mailbox, SyncStatus, utc_now
from tests.conftest import HASH
from tests.postgres import PostgresServer
from tests.waiting import comes_true

ACTOR = Actor.system("faults")
DOMAIN = "example.com"


@dataclass
class Case:
    """One product with its mail server `main`, and what it accepted."""

    app: Postroom
    volume: Path
    accepted: list[str] = field(default_factory=list)
    quotas: dict[str, int] = field(default_factory=dict)  # address → bytes, as last accepted
    quota_changes: int = 0
    saw: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, app: Postroom) -> "Case":
        server = app.queries.servers(ACTOR)[0]
        app.services.domains.create(ACTOR, DOMAIN, server.name)
        return cls(app, Path(server.settings["path"]))

    def create(self) -> bool:
        """Make one more mailbox; whether it was accepted. What is said goes to `saw`."""
        address = f"m{len(self.accepted) + len(self.saw)}-{random.randrange(1 << 30)}@{DOMAIN}"
        try:
            row = self.app.services.mailboxes.create(ACTOR, NewMailbox(address, password_hash=HASH))
        except ProvisionError as error:
            self.saw.append(error.message)
            return False
        self.accepted.append(address)
        if row.sync_status != SyncStatus.SYNCED:
            health = self.app.queries.health(ACTOR)[0]
            self.saw.append(f"{row.sync_status}: {row.error or health['error'] or health['alarm'] or 'waits'}")
        return True

    def set_quotas(self) -> None:
        """Give some mailboxes one quota, another one each time."""
        addresses = {row["uid"]: row["address"] for row in self.app.queries.mailboxes(ACTOR, size=200).rows}
        quota = random.randrange(1, 9999) << 20
        done = self.app.services.bulk.set_quota(ACTOR, list(addresses), quota).done
        self.quota_changes += len(done)
        self.quotas |= {addresses[uid]: quota for uid in done}

    def settle(self, seconds: float = 60) -> None:
        """The background work goes on until nothing waits, as in a running process; `astray` tells what still does."""
        jobs = Jobs(self.app)
        comes_true(lambda: not self.waiting() or jobs.sweep(), seconds, 0.05)

    def waiting(self) -> list[str]:
        with self.app.database.read() as session:
            return list(session.scalars(select(Mailbox.address).where(Mailbox.sync_status != SyncStatus.SYNCED)))

    def astray(self) -> set[str]:
        """What waits, what is not on the mail server, and what is there otherwise than it was accepted."""
        plan, actual = self.app.sync.preview(self.app.queries.servers(ACTOR)[0].id)
        found = {key_of(change).address for change in plan.changes} | {key.address for key in plan.missing}
        found |= {one.key.address for one in plan.differing} | {*self.accepted} - actual.mailboxes.keys()
        held = {address: box.quota_bytes for address, box in actual.mailboxes.items()}
        found |= {address for address, quota in self.quotas.items() if held.get(address) != quota}
        return found | {*self.waiting()}

    def result(self, fault: str, tries: int) -> "Result":
        self.settle()
        lines = [line.partition("|")[0] for line in (self.volume / "postfix-accounts.cf").read_text().splitlines()]
        lost = len(self.astray())
        twice = sum(count - 1 for count in Counter(lines).values())
        with self.app.database.read() as session:
            outcomes = select(func.count()).select_from(AuditLink).where(AuditLink.phase == "outcome")
            different = select(func.count(AuditLink.log_uid.distinct())).where(AuditLink.phase == "outcome")
            twice += (session.scalar(outcomes) or 0) - (session.scalar(different) or 0)
        if not self.app.queries.verify_audit(ACTOR).intact:
            lost += 1
        accepted = len(self.accepted) + self.quota_changes
        return Result(fault, tries, accepted, lost, twice, self.saw[-1] if self.saw else "nothing")


@dataclass(frozen=True)
class Result:
    fault: str
    tries: int
    accepted: int
    lost: int
    repeated: int
    saw: str


Scenario = Callable[[Postroom, int], Result]


# ---- the mail server -----------------------------------------------------------------------


def away(app: Postroom, tries: int) -> Result:
    """The config volume is not there for a while."""
    case = Case.begin(app)
    for _ in range(tries):
        with gone(case.volume):
            case.create()
        case.settle()
    return case.result("mail server away", tries)


def flapping(app: Postroom, tries: int) -> Result:
    """It comes and goes every few milliseconds."""
    case, stopped = Case.begin(app), threading.Event()

    def flap() -> None:
        while not stopped.is_set():
            with gone(case.volume):
                time.sleep(0.003)
            time.sleep(0.02)

    thread = threading.Thread(target=flap)
    thread.start()
    for _ in range(tries):
        case.create()
    stopped.set()
    thread.join()
    return case.result("mail server flapping", tries)


def slow(app: Postroom, tries: int) -> Result:
    """Each of its answers takes longer than a page waits."""
    case = Case.begin(app)
    budget = app.settings.page_budget_seconds
    app.sync.open_kind = lambda kind, settings, timeout: SlowFiles(settings, timeout, 1.5 * budget)
    longest = 0.0
    for _ in range(tries):
        began = time.monotonic()
        case.create()
        longest = max(longest, time.monotonic() - began)
    assert longest < budget + 1, f"somebody waited {longest:.1f} s, {budget:.1f} s are allowed"
    app.sync.open_kind = lambda kind, settings, timeout: DmsFiles(settings, timeout)
    case.saw.append(
        f"after {longest:.1f} s at most ({budget:.0f} s are allowed) — {case.saw[-1] if case.saw else 'SYNCED'}"
    )
    return case.result("mail server slower than a page waits", tries)


class SlowFiles(DmsFiles):
    def __init__(self, settings: Any, timeout_seconds: float, delay_seconds: float) -> None:
        super().__init__(settings, timeout_seconds)
        self.delay_seconds = delay_seconds

    def read(self, keys: Any = None) -> ServerState:
        time.sleep(self.delay_seconds)
        return super().read(keys)


def half_written(app: Postroom, tries: int) -> Result:
    """Somebody's editor leaves the first half of the accounts file, later the whole one again."""
    case = Case.begin(app)
    for _ in range(40):
        case.create()
    case.settle()
    for _ in range(tries):
        path = case.volume / "postfix-accounts.cf"
        whole = path.read_bytes()
        path.write_bytes(whole[: random.randrange(len(whole) // 2)])
        case.create()
        path.write_bytes(whole)
        app.services.sync.push(ACTOR, app.queries.servers(ACTOR)[0].uid)
    return case.result("accounts file cut in half", tries)


def emptied(app: Postroom, tries: int) -> Result:
    """The volume is there, but empty: a wrong mount."""
    case = Case.begin(app)
    for _ in range(20):
        case.create()
    case.settle()
    for _ in range(tries):
        with gone(case.volume):
            case.volume.mkdir()
            case.create()
            for path in case.volume.iterdir():
                path.unlink()
            case.volume.rmdir()
        app.services.sync.push(ACTOR, app.queries.servers(ACTOR)[0].uid)
    return case.result("config volume empty", tries)


def volume_full(app: Postroom, tries: int) -> Result:
    """No room for the new file; then there is."""
    case = Case.begin(app)
    with small_disk(case.volume, "20k") as enlarge:
        while len(case.saw) < tries:
            case.create()
        enlarge("8m")
        case.settle()
        return case.result("config volume full", tries)


# ---- the database --------------------------------------------------------------------------


def locked(app: Postroom, tries: int) -> Result:
    """Another program holds SQLite's write lock longer than we wait."""
    case = Case.begin(app)
    path = app.database.url.database or ""
    app.database.engine.dispose()
    for _ in range(tries):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        case.create()
        other.execute("ROLLBACK")
        other.close()
        case.create()
    return case.result("database locked by another program", tries)


def file_removed(app: Postroom, tries: int) -> Result:
    """The database file is moved away under the running process, and back."""
    case = Case.begin(app)
    path = Path(app.database.url.database or "")
    for _ in range(tries):
        case.create()
        with gone(path):
            assert not case.create()
        case.create()
    return case.result("database file removed", tries)


def database_full(app: Postroom, tries: int) -> Result:
    """No room for another row; then there is."""
    case = Case.begin(app)
    app.database.close()
    with small_disk(app.settings.data_dir, "1500k") as enlarge:
        case.app = open_postroom(app.settings)
        while len(case.saw) < tries:
            case.create()
        enlarge("32m")
        result = case.result("database's disk full", tries)
        case.app.close()
        return result


def database_restarted(app: Postroom, tries: int, server: PostgresServer) -> Result:
    """PostgreSQL is stopped, and started again."""
    case = Case.begin(app)
    for _ in range(tries):
        server.halt()
        assert not case.create()
        server.start()
        case.create()
    return case.result("PostgreSQL stopped and started", tries)


# ---- time and power ------------------------------------------------------------------------


def clock_jumps(app: Postroom, tries: int) -> Result:
    """A day forward, a year forward, a day back, while changes are made and refused."""
    case = Case.begin(app)
    steps = (timedelta(days=1), timedelta(days=365), timedelta(days=-1), timedelta(0))
    for number in range(tries):
        with time_machine.travel(utc_now() + steps[number % len(steps)]):
            with gone(case.volume):
                case.create()
            Jobs(app).sweep()
    return case.result("clock jumps by days", tries)


def kills_while_pushing(app: Postroom, tries: int) -> Result:
    """kill -9 at a random moment of delivering a thousand mailboxes."""
    case = Case.begin(app)
    server = app.queries.servers(ACTOR)[0]
    with gone(case.volume):
        news = [NewMailbox(f"k{number}@{DOMAIN}", password_hash=HASH) for number in range(1000)]
        assert len(app.services.bulk.create(ACTOR, news).done) == len(news)
        case.accepted += [new.address for new in news]
    kills = 0
    arguments = [app.settings.url, str(app.settings.data_dir), str(server.id), "", "50"]
    while kills < tries:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.sync.pusher", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.4))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
        case.set_quotas()
    return case.result("kill -9 while delivering", tries)


# ---- making them happen --------------------------------------------------------------------


@contextmanager
def gone(path: Path) -> Iterator[None]:
    hidden = path.with_name(path.name + ".away")
    path.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(path)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """What is in the folder on a disk of this size; `enlarge(size)` makes room. Needs root."""
    with tempfile.TemporaryDirectory() as kept:
        subprocess.run(["cp", "-a", f"{folder}/.", kept], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
        try:
            subprocess.run(["cp", "-a", f"{kept}/.", str(folder)], check=True)
            yield lambda new: _remount(folder, new)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _remount(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


BOTH: tuple[Scenario, ...] = (
    away,
    flapping,
    slow,
    half_written,
    emptied,
    volume_full,
    clock_jumps,
    kills_while_pushing,
)
SQLITE_ONLY: tuple[Scenario, ...] = (locked, file_removed, database_full)
