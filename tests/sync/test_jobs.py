"""What happens by itself: delivery of what waited, confirmation, probes, scheduled imports."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from provision.app import open_postroom
from provision.core.errors import Unreachable
from provision.core.state import Change, LiveReport, Outcome, Usage
from provision.jobs.loop import Jobs
from provision.servers.dms.files import DmsFiles
from provision.storage.models import Mailbox, SyncStatus
from provision.sync.engine import Sync
from tests.conftest import HASH, World
from tests.waiting import wait_for

pytestmark = pytest.mark.both_databases


def sealed(world: World, address: str) -> str | None:
    with world.app.database.read() as session:
        return session.scalar(select(Mailbox.sealed_password).where(Mailbox.address == address))


def test_it_delivers_what_waited_when_the_server_is_back(world: World) -> None:
    away = world.volume.rename(world.volume.with_name("away"))
    row = world.add("anna@example.com")
    assert row.sync_status == SyncStatus.PENDING
    jobs = Jobs(world.app, tick_seconds=0.05)
    jobs.start()
    try:
        away.rename(world.volume)
        wait_for(lambda: world.reload(row).sync_status == SyncStatus.SYNCED)
    finally:
        jobs.stop()
    assert "anna@example.com|" in world.text()


def test_it_forgets_the_password_once_it_was_looked_at_again(world: World) -> None:
    world.add("anna@example.com")
    assert sealed(world, "anna@example.com") is not None
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=4)):
        Jobs(world.app).sweep()
    assert sealed(world, "anna@example.com") is None


def test_it_sends_again_what_another_writer_overwrote(world: World) -> None:
    world.add("anna@example.com")
    world.write("")  # somebody's `setup` had read the file before our write, and saves it now
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=4)):
        Jobs(world.app).sweep()
    assert world.text() == f"anna@example.com|{HASH.reveal()}\n"
    operations = [row["operation"] for row in world.app.queries.logs(world.alice).rows]
    assert "mailbox.repair" in operations


def test_it_imports_on_schedule_and_once_over_all_processes(world: World) -> None:
    world.write(f"bob@example.org|{HASH.reveal()}\n")
    settings = world.app.settings.model_copy(update={"enable_auto_import": True})
    here, there = (Jobs(open_postroom(settings, migrate=False)) for _ in range(2))
    try:
        assert [here.auto_import(), there.auto_import()] == [[world.server.id], []]
    finally:
        here.app.close()
        there.app.close()
    assert world.app.queries.mailbox_by_address(world.alice, "bob@example.org").sync_status == SyncStatus.SYNCED


def test_an_import_that_finds_the_server_busy_comes_again(world: World) -> None:
    world.write(f"bob@example.org|{HASH.reveal()}\n")
    world.app.settings.page_budget_seconds = 1
    with world.app.database.server_lock(world.server.id, 1):
        Jobs(world.app).auto_import()
    assert world.app.queries.mailboxes(world.alice).total == 0
    Jobs(world.app).auto_import()
    assert world.app.queries.mailboxes(world.alice).total == 1


def test_it_imports_nothing_unless_asked_to(world: World) -> None:
    world.write(f"bob@example.org|{HASH.reveal()}\n")
    Jobs(world.app).sweep()
    assert world.app.queries.mailboxes(world.alice).total == 0


def test_it_notes_the_health_of_each_server(world: World) -> None:
    world.write(f"bob@example.org|{HASH.reveal()}\n")
    Jobs(world.app).sweep()
    (server,) = world.app.queries.servers(world.alice)
    assert (server.accounts, server.error) == (1, None)
    world.volume.rename(world.volume.with_name("away"))
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61)):
        Jobs(world.app).sweep()
    (server,) = world.app.queries.servers(world.alice)
    assert "not mounted" in (server.error or "")


def test_it_leaves_a_server_alone_that_raised_the_alarm(world: World) -> None:
    for number in range(12):
        world.add(f"user{number}@example.com")
    world.write("\n")
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=120)):
        row = world.add("new@example.com")
        Jobs(world.app).sweep()
        assert world.reload(row).sync_status == SyncStatus.PENDING
        (server,) = world.app.queries.servers(world.alice)
        assert "12 are missing" in (server.alarm or "")
    assert world.text() == "\n"


def test_the_alarm_ends_by_itself_when_the_entries_are_back(world: World) -> None:
    for number in range(12):
        world.add(f"user{number}@example.com")
    before = world.text()
    world.write("\n")
    start = datetime.now(UTC)
    with time_machine.travel(start + timedelta(seconds=120)):
        row = world.add("new@example.com")
        Jobs(world.app).sweep()
        world.write(before)
    with time_machine.travel(start + timedelta(seconds=181)):
        jobs = Jobs(world.app)
        jobs.sweep()  # looks at the server
        jobs.sweep()  # sends
        assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_a_fault_of_ours_at_one_server_does_not_stop_the_others(world: World) -> None:
    other = world.volume.with_name("other")
    other.mkdir()
    world.app.services.servers.create(world.alice, "zweit", "dms_files", {"path": str(other)})
    world.app.services.domains.create(world.alice, "example.net", "zweit")

    def open_kind(kind: str, settings: Mapping[str, Any], timeout: float) -> DmsFiles:
        if settings["path"] == str(world.volume):
            raise RuntimeError("never expected")
        return DmsFiles(settings, timeout)

    world.app.services.delivery.enabled = False
    world.add("anna@example.com")
    row = world.add("ben@example.net")
    world.app.sync.open_kind = open_kind
    Jobs(world.app).sweep()
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_a_server_that_can_only_be_read_keeps_its_pause(world: World) -> None:
    class ReadOnly(DmsFiles):
        def check(self) -> list[str]:
            return ["The folder cannot be written by this user."]

        def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
            raise Unreachable(self.check()[0])

    world.app.sync.open_kind = lambda kind, settings, timeout: ReadOnly(settings, timeout)
    world.add("anna@example.com")
    before = world.app.queries.server_by_name(world.alice, "main")
    world.app.sync.probe(world.server.id)
    after = world.app.queries.server_by_name(world.alice, "main")
    assert (after.error, after.attempts, after.next_attempt_at) == (before.error, 1, before.next_attempt_at)


def test_it_stops_at_once(world: World) -> None:
    before = threading.active_count()
    jobs = Jobs(world.app, tick_seconds=60)
    jobs.start()
    jobs.stop()
    assert threading.active_count() <= before


class Running(DmsFiles):
    """The config volume, as if the server that runs on it could be asked."""

    def report(self) -> LiveReport:
        now = datetime.now(UTC).isoformat()
        return LiveReport(
            "v15.1.0", now, 3, 5 << 30, ("Quotas are switched off.",), {"anna@example.com": Usage(512, 7, None)}
        )


def test_it_notes_what_a_running_server_says_of_itself(world: World) -> None:
    row = world.add("anna@example.com", quota_bytes=1024)
    sync = Sync(
        world.app.database,
        world.app.sync.sealer,
        world.app.settings,
        lambda kind, settings, seconds: Running(settings, seconds),
    )
    sync.probe(world.server.id)
    seen = world.reload(row)
    assert (seen.used_bytes, seen.used_messages, seen.used_percent) == (512, 7, 50)
    (server,) = world.app.queries.servers(world.alice)
    assert server.live is not None
    assert (server.live["version"], server.live["queue_length"]) == ("v15.1.0", 3)
