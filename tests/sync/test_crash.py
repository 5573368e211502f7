"""Killed at any moment, or two at once: nothing is lost, nothing is done twice, no writes overlap."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from provision.app import open_postroom
from provision.servers.dms.files import DmsFiles
from provision.services.new_mailbox import NewMailbox
from provision.settings.config import Settings
from provision.storage.models import Alias, LogStatus, Mailbox, ProvisionLog, SyncStatus
from tests.conftest import HASH, OTHER_HASH, World, make_world
from tests.nightly import by_day
from tests.waiting import wait_for

pytestmark = pytest.mark.both_databases

ROOT = Path(__file__).resolve().parents[2]
H = HASH.reveal()
MAILBOXES, KILLS = 1000, by_day(4, 15)


@pytest.fixture
def waiting(settings: Settings, volume: Path) -> World:
    """A world in which writing records the wish only: a push is a process of its own."""
    return make_world(open_postroom(settings, migrate=False, deliver=False), volume)


def pusher(world: World, *more: str) -> subprocess.Popen[str]:
    arguments = (world.app.settings.database_url, str(world.app.settings.data_dir), str(world.server.id), *more)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sync.pusher", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def push_and_kill(world: World, after_seconds: float) -> bool:
    """Whether the process was killed before it was done."""
    with pusher(world) as process:
        time.sleep(after_seconds)
        was_running = process.poll() is None
        if was_running:
            os.kill(process.pid, signal.SIGKILL)
    return was_running


def lines(world: World, name: str = "postfix-accounts.cf") -> list[str]:
    return world.text(name).splitlines()


def require_everything_delivered(world: World, quota: str, disabled: bool) -> None:
    attribute = "|fail=y" if disabled else ""
    assert sorted(lines(world)) == sorted(
        [f"# by hand|{OTHER_HASH.reveal()}", *(f"u{n}@example.com|{H}{attribute}" for n in range(MAILBOXES))]
    )
    assert sorted(lines(world, "dovecot-quotas.cf")) == sorted(f"u{n}@example.com:{quota}" for n in range(MAILBOXES))
    assert sorted(lines(world, "postfix-virtual.cf")) == sorted(
        f"al{n}@example.com u{n}@example.com" for n in range(100)
    )
    with world.app.database.read() as session:
        for table in (Mailbox, Alias):
            assert (
                session.scalar(select(func.count()).select_from(table).where(table.sync_status != SyncStatus.SYNCED))
                == 0
            )
        assert session.scalar(select(func.count()).where(ProvisionLog.status != LogStatus.SUCCESS)) == 0
    assert world.app.queries.verify_audit(world.alice).intact
    assert {path.name for path in world.volume.iterdir()} == {
        "postfix-accounts.cf",
        "dovecot-quotas.cf",
        "postfix-virtual.cf",
    }


@pytest.mark.slow
def test_a_push_of_a_thousand_survives_kill_9_at_any_moment(waiting: World) -> None:
    world, seed = waiting, random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    world.write(f"# by hand|{OTHER_HASH.reveal()}\n")
    news = [
        NewMailbox(
            f"u{n}@example.com",
            password_hash=HASH,
            quota_bytes=5 << 20,
            aliases=(f"al{n}@example.com",) if n < 100 else (),
        )
        for n in range(MAILBOXES)
    ]
    uids = world.app.services.bulk.create(world.alice, news).done
    with pusher(world) as process:
        started = time.monotonic()
        process.wait()
    length = time.monotonic() - started
    require_everything_delivered(world, "5M", disabled=False)

    killed = 0
    for number in range(KILLS):
        with world.app.database.write() as session:  # everything is wanted anew, the quota changes each time
            values = {"generation": Mailbox.generation + 1, "quota_bytes": (number + 6) << 20}
            session.execute(update(Mailbox).values(values))
        if number % 3 == 0:
            world.app.services.bulk.disable(world.alice, uids)
        elif number % 3 == 1:
            world.app.services.bulk.enable(world.alice, uids)
        killed += push_and_kill(world, moments.uniform(0, length * 0.9))
        assert len(lines(world)) == MAILBOXES + 1  # whole files at every moment
        assert all(line.count("|") in (1, 2) for line in lines(world))
    with pusher(world) as process:
        process.wait()
    world.app.sync.push(world.server.id, ignore_backoff=True)
    require_everything_delivered(world, f"{KILLS + 5}M", disabled=(KILLS - 1) % 3 == 0)
    assert killed >= KILLS // 3


def test_two_processes_that_push_one_server_never_overlap(waiting: World, tmp_path: Path) -> None:
    world = waiting
    processes = [pusher(world, str(tmp_path / f"notes{n}"), "1000000") for n in range(2)]
    try:
        for number in range(20):
            row = world.app.services.mailboxes.create(
                world.alice, NewMailbox(f"u{number}@example.com", password_hash=HASH)
            )
            if number % 2:  # every second time two of them are waiting
                wait_for(lambda row=row: world.reload(row).sync_status == SyncStatus.SYNCED)  # type: ignore[misc]
    finally:
        (tmp_path / "stop").touch()
    for process in processes:
        assert process.wait(60) == 0
    world.app.sync.push(world.server.id, ignore_backoff=True)
    spans = sorted(
        tuple(map(int, line.split()))
        for n in range(2)
        for path in [tmp_path / f"notes{n}"]
        if path.exists()
        for line in path.read_text().splitlines()
    )
    assert len(spans) >= 10
    for (_, ended), (began, _) in pairwise(spans):
        assert ended <= began
    assert sorted(lines(world)) == sorted(f"u{n}@example.com|{H}" for n in range(20))


def test_a_push_that_finds_another_one_running_leaves_its_rows_pending(waiting: World) -> None:
    world = waiting
    row = world.app.services.mailboxes.create(world.alice, NewMailbox("anna@example.com", password_hash=HASH))
    other = open_postroom(world.app.settings, migrate=False)
    try:
        with other.database.server_lock(world.server.id, 1) as locked:
            assert locked
            assert world.app.sync.push(world.server.id, budget_seconds=0.2).status == "locked"
            assert world.reload(row).sync_status == SyncStatus.PENDING
    finally:
        other.close()
    assert world.app.sync.push(world.server.id).status == "done"
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_files_changed_by_hand_during_a_push_keep_both_hands_work(waiting: World) -> None:
    world = waiting
    news = [NewMailbox(f"u{n}@example.com", password_hash=HASH) for n in range(300)]
    world.app.services.bulk.create(world.alice, news)
    path = world.volume / "postfix-accounts.cf"
    theirs = [f"hand{n}@example.com|{OTHER_HASH.reveal()}" for n in range(60)]

    class ByHand(DmsFiles):
        """Somebody types on the server whenever it is read."""

        def read(self, keys=None):  # type: ignore[no-untyped-def]
            if theirs:
                with path.open("a") as file:
                    file.write(theirs.pop() + "\n")
            return super().read(keys)

    world.app.sync.open_kind = lambda kind, settings, timeout: ByHand(settings, timeout)
    for number in range(5):
        with world.app.database.write() as session:
            session.execute(update(Mailbox).values(generation=Mailbox.generation + 1, quota_bytes=(number + 1) << 20))
        world.app.sync.push(world.server.id, ignore_backoff=True)
    held = {line.partition("@")[0] for line in lines(world)}
    assert held >= {f"u{n}" for n in range(300)}
    assert held >= {f"hand{59 - n}" for n in range(60 - len(theirs))}
    assert world.app.queries.counts(world.alice)["mailbox.SYNCED"] == 300
