"""Push: what is wanted reaches the server, whatever stands in the way."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from provision.app import open_postroom
from provision.core.secret import Secret
from provision.core.state import Change, Outcome, Resource, ServerState
from provision.jobs.loop import Jobs
from provision.queries import LogFilter
from provision.servers.dms.files import DmsFiles
from provision.services.new_mailbox import NewMailbox
from provision.settings.config import Settings
from provision.storage.models import LogStatus, Mailbox, Server, Status, SyncStatus, utc_now
from provision.sync.result import PushStatus
from tests.batches import note_batches
from tests.conftest import HASH, OTHER_HASH, World, make_world
from tests.waiting import wait_for

pytestmark = pytest.mark.both_databases

H, O = HASH.reveal(), OTHER_HASH.reveal()  # noqa: E741
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
VIRTUAL, QUOTAS = "postfix-virtual.cf", "dovecot-quotas.cf"


def break_volume(world: World) -> None:
    world.volume.rename(world.volume.with_name("away"))


def mend_volume(world: World) -> None:
    world.volume.with_name("away").rename(world.volume)


def raw(world: World, address: str) -> Mailbox:
    return world.app.queries.mailbox_by_address(world.alice, address)


def server_row(world: World) -> object:
    return world.app.queries.server_by_name(world.alice, "main")


def fill(world: World, count: int) -> list[Mailbox]:
    """`count` delivered mailboxes u0, u1, …"""
    news = [NewMailbox(f"u{n}@example.com", password_hash=HASH) for n in range(count)]
    done = world.app.services.bulk.create(world.alice, news).done
    return [world.app.queries.mailbox(world.alice, uid) for uid in done]


# ---- each thing a person can ask for -------------------------------------------------------


def test_it_delivers_every_kind_of_change(world: World) -> None:
    app, alice = world.app.services, world.alice
    row = world.add("anna@example.com", quota_bytes=5 << 20)
    app.mailboxes.edit(alice, row.uid, quota_bytes=7 << 20)
    assert world.text(QUOTAS) == "anna@example.com:7M\n"
    app.mailboxes.edit(alice, row.uid, quota_bytes=0, quota_messages=0)
    assert world.text(QUOTAS) == "anna@example.com:0\n"
    app.mailboxes.disable(alice, row.uid)
    assert world.text() == f"anna@example.com|{H}|fail=y\n"
    app.mailboxes.enable(alice, row.uid)
    assert world.text() == f"anna@example.com|{H}\n"
    alias = app.aliases.create(alice, "@example.com", ["anna@example.com", "x@elsewhere.net"])
    kept = "anna@example.com anna@example.com\n"  # or the catch-all would take her mail too
    assert world.text(VIRTUAL) == "@example.com anna@example.com,x@elsewhere.net\n" + kept
    app.aliases.edit(alice, alias.uid, ["x@elsewhere.net"])
    assert world.text(VIRTUAL) == "@example.com x@elsewhere.net\n" + kept
    app.aliases.delete(alice, alias.uid)
    assert world.text(VIRTUAL).strip() == ""
    app.mailboxes.delete(alice, row.uid, force=True)
    assert world.text().strip() == world.text(QUOTAS).strip() == ""
    assert app.sync.preview(alice, world.server.uid).changes == []


def test_a_new_password_keeps_the_account_disabled(world: World) -> None:
    row = world.add("anna@example.com", enabled=False)
    world.app.services.mailboxes.reset_password(world.alice, row.uid, Secret("New-Horse-22"))
    assert world.text().endswith("|fail=y\n")
    assert H not in world.text()


def test_a_deleted_mailbox_takes_its_address_out_of_the_aliases(world: World) -> None:
    anna, _ = world.add("anna@example.com"), world.add("bob@example.com")
    for alias, targets in (("both", ["anna", "bob"]), ("only", ["anna"]), ("not", ["hanna"])):
        world.app.services.aliases.create(world.alice, f"{alias}@example.com", [f"{t}@example.com" for t in targets])
    world.app.services.mailboxes.delete(world.alice, anna.uid, force=True)
    assert world.text(VIRTUAL) == "both@example.com bob@example.com\nnot@example.com hanna@example.com\n"


def test_a_push_keeps_what_people_have_written(world: World) -> None:
    world.write(f"# by hand\nold@example.com|{O}|allow_nets=local\n\ngarbage\n")
    world.add("anna@example.com")
    assert world.text() == f"# by hand\nold@example.com|{O}|allow_nets=local\n\ngarbage\nanna@example.com|{H}\n"


def test_it_finds_nothing_to_do_the_second_time(world: World) -> None:
    fill(world, 3)
    before = (world.volume / "postfix-accounts.cf").stat()
    world.app.services.sync.push(world.alice, world.server.uid)
    assert (world.volume / "postfix-accounts.cf").stat().st_mtime_ns == before.st_mtime_ns


def test_thousands_are_one_batch(world: World) -> None:
    batches = note_batches(world.app)
    fill(world, 2000)
    assert batches == [2000]
    assert world.text().count("\n") == world.text(QUOTAS).count("\n") == 2000
    assert world.app.queries.counts(world.alice)["mailbox.SYNCED"] == 2000


# ---- down and up ---------------------------------------------------------------------------


def test_a_server_that_is_down_leaves_rows_pending_without_counting_tries(world: World) -> None:
    break_volume(world)
    row = world.add("anna@example.com")
    assert (row.sync_status, row.attempts) == (SyncStatus.PENDING, 0)
    assert "no folder" in str(server_row(world).error)  # type: ignore[attr-defined]
    mend_volume(world)
    result = world.app.services.sync.push(world.alice, world.server.uid)
    assert (result.status, world.reload(row).sync_status) == (PushStatus.DONE, SyncStatus.SYNCED)
    assert server_row(world).error is None  # type: ignore[attr-defined]


def test_a_server_that_is_down_is_left_in_peace_until_its_next_try(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        break_volume(world)
        world.app.settings.retry_base_seconds, world.app.settings.retry_cap_seconds = 100, 1000
        row = world.add("anna@example.com")
        pauses = []
        for _ in range(8):
            result = world.app.sync.push(world.server.id, ignore_backoff=True)
            assert result.retry_at is not None
            pauses.append((result.retry_at - datetime.now(UTC)).total_seconds())
        mend_volume(world)
        assert world.app.sync.push(world.server.id).status is PushStatus.UNREACHABLE
        assert world.reload(row).sync_status == SyncStatus.PENDING
        clock.shift(1001)
        assert world.app.sync.push(world.server.id).status is PushStatus.DONE
    assert world.reload(row).sync_status == SyncStatus.SYNCED
    assert all(50 <= pause <= 1000 for pause in pauses)
    assert pauses[0] <= 200 < pauses[3]
    assert min(pauses[-3:]) >= 500


def test_one_refused_row_fails_after_its_tries_and_hinders_no_other(world: World) -> None:
    world.app.settings.max_attempts = 3
    world.write(f"twice@example.com|{H}\ntwice@example.com|{O}\n")
    twice, anna = world.add("twice@example.com"), world.add("anna@example.com")
    assert world.reload(anna).sync_status == SyncStatus.SYNCED
    for _ in range(3):
        world.app.sync.push(world.server.id, ignore_backoff=True)
    row = world.reload(twice)
    assert (row.sync_status, row.attempts) == (SyncStatus.FAILED, 3)
    assert "two lines" in str(row.error)
    logs = world.app.queries.logs(world.alice, LogFilter(resource_id=twice.uid)).rows
    assert [log["status"] for log in logs] == [LogStatus.FAILED]

    world.write(f"twice@example.com|{H}\nanna@example.com|{H}\n")
    world.app.services.sync.retry(world.alice, Resource.MAILBOX, twice.uid)
    assert world.reload(twice).sync_status == SyncStatus.SYNCED


def test_a_refused_row_waits_longer_each_time(world: World) -> None:
    world.app.settings.retry_base_seconds, world.app.settings.retry_cap_seconds = 100, 10_000
    world.write(f"twice@example.com|{H}\ntwice@example.com|{O}\n")
    with time_machine.travel(NOON, tick=False):
        row = world.add("twice@example.com")
        assert row.attempts == 1
        world.app.sync.push(world.server.id)
        assert world.reload(row).attempts == 1
        waits = []
        for _ in range(4):
            world.app.sync.push(world.server.id, ignore_backoff=True)
            waits.append((world.reload(row).next_attempt_at - NOON).total_seconds())  # type: ignore[operator]
    assert all(50 * 2**n <= wait <= 100 * 2**n for n, wait in enumerate(waits, start=1))


class Held(DmsFiles):
    """Answers when it is let go."""

    def __init__(self, settings: Any, timeout_seconds: float, let_go: threading.Event) -> None:
        super().__init__(settings, timeout_seconds)
        self.let_go = let_go

    def read(self, keys: Any = None) -> ServerState:
        self.let_go.wait(60)
        return super().read(keys)


def test_nobody_waits_longer_than_the_budget_for_a_slow_server(settings: Settings, volume: Path) -> None:
    app = open_postroom(settings.model_copy(update={"page_budget_seconds": 0.5}), migrate=False)
    world = make_world(app, volume)
    let_go = threading.Event()
    app.sync.open_kind = lambda kind, settings, timeout: Held(settings, timeout, let_go)
    row = world.add("anna@example.com")
    assert row.sync_status == SyncStatus.PENDING
    assert world.text() == "", "it does not answer yet, and nobody waits for it"
    let_go.set()
    wait_for(lambda: world.reload(row).sync_status == SyncStatus.SYNCED)  # by the push that nobody waits for
    assert world.text() == f"anna@example.com|{H}\n"
    with app.database.server_lock(world.server.id, 10) as is_over:
        assert is_over
    app.close()


@pytest.mark.parametrize("ahead", [timedelta(minutes=40), timedelta(hours=20), timedelta(days=400)])
def test_a_pause_that_began_while_the_clock_was_ahead_ends_by_the_right_one(world: World, ahead: timedelta) -> None:
    """No pause is longer than the cap of the policy, so what is further ahead is due."""
    world.app.settings.retry_base_seconds, world.app.settings.retry_cap_seconds = 100, 900
    break_volume(world)
    with time_machine.travel(utc_now() + ahead):
        row = world.add("anna@example.com")
        assert world.app.sync.push(world.server.id).status is PushStatus.UNREACHABLE
    mend_volume(world)
    Jobs(world.app).sweep()
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_a_rows_own_pause_ends_by_the_right_clock_too(world: World) -> None:
    world.app.settings.retry_base_seconds, world.app.settings.retry_cap_seconds = 100, 900
    break_volume(world)
    row = world.add("anna@example.com")
    mend_volume(world)
    with world.app.database.write() as session:
        session.execute(update(Server).values(next_attempt_at=None, error=None))
        session.execute(update(Mailbox).values(next_attempt_at=utc_now() + timedelta(hours=3)))
    Jobs(world.app).sweep()
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_a_lost_write_that_cannot_be_sent_again_is_no_longer_synced(world: World) -> None:
    class Full(DmsFiles):
        def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
            yield from (Outcome(change, "", exit_code=1, error="It is full.") for change in changes)

    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add("anna@example.com")
        world.write("")  # somebody's `setup` had read the file before our write, and saves it now
        kind = world.app.sync.open_kind
        world.app.sync.open_kind = lambda kind, settings, timeout: Full(settings, timeout)
        clock.shift(4)
        world.app.sync.push(world.server.id)
        assert (world.reload(row).sync_status, world.reload(row).error) == (SyncStatus.PENDING, "It is full.")
        world.app.sync.open_kind = kind
        clock.shift(60)
        world.app.sync.push(world.server.id)
    assert (world.reload(row).sync_status, world.reload(row).error) == (SyncStatus.SYNCED, None)
    assert "anna@example.com|" in world.text()


# ---- alarms --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wreck", [lambda v: [p.write_text("") for p in v.iterdir()], lambda v: [p.unlink() for p in v.iterdir()]]
)
def test_an_emptied_server_is_an_alarm_and_is_not_written_to(world: World, wreck: Callable[[object], object]) -> None:
    fill(world, 12)
    wreck(world.volume)
    row = world.add("new@example.com")
    assert row.sync_status == SyncStatus.PENDING
    assert world.text() == ""
    assert str(server_row(world).alarm).endswith(" 0 would be deleted.")  # type: ignore[attr-defined]
    assert world.app.services.sync.push(world.alice, world.server.uid).status is PushStatus.UNSAFE

    assert world.app.services.sync.force_push(world.alice, world.server.uid).status is PushStatus.DONE
    assert "new@example.com" in world.text()
    assert server_row(world).alarm is None  # type: ignore[attr-defined]


def test_many_deletions_need_a_person_to_force_them(world: World) -> None:
    rows = fill(world, 12)
    world.app.services.bulk.delete(world.alice, [row.uid for row in rows[:6]], force=True)
    assert world.text().count("\n") == 12
    world.app.services.sync.force_push(world.alice, world.server.uid)
    assert world.text().count("\n") == 6


def test_a_mailbox_that_vanished_is_reported_and_its_password_wanted_anew(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add("anna@example.com")
        clock.shift(120)
        world.app.sync.push(world.server.id)
        world.write("# gone\n")
        assert [key.address for key in world.app.services.sync.preview(world.alice, world.server.uid).missing] == [
            "anna@example.com"
        ]
        world.app.services.mailboxes.edit(world.alice, row.uid, quota_bytes=1 << 20)
        failed = world.reload(row)
        assert (failed.sync_status, failed.error_code) == (SyncStatus.FAILED, "MAILBOX_GONE")
        assert world.text() == "# gone\n"
        world.app.services.mailboxes.reset_password(world.alice, row.uid, Secret("New-Horse-22"))
        assert world.reload(row).sync_status == SyncStatus.SYNCED
    assert "anna@example.com|{SHA512-CRYPT}$6$" in world.text()


def test_an_account_that_somebody_made_meanwhile_is_a_conflict(world: World) -> None:
    world.write(f"anna@example.com|{O}\n")
    row = world.add("anna@example.com")
    assert (row.sync_status, row.error_code) == (SyncStatus.FAILED, "SYNC_CONFLICT")
    assert world.text() == f"anna@example.com|{O}\n"


# ---- quiet time and confirmation -----------------------------------------------------------


def test_changes_are_gathered_during_the_quiet_time(world: World) -> None:
    world.app.services.servers.edit(world.alice, world.server.uid, quiet_seconds=30)
    with time_machine.travel(NOON, tick=False) as clock:
        world.add("a@example.com")
        rows = [world.add(f"b{n}@example.com") for n in range(3)]
        assert world.app.sync.push(world.server.id).status is PushStatus.GATHERING
        assert {world.reload(row).sync_status for row in rows} == {SyncStatus.PENDING}
        assert world.text().count("\n") == 1
        clock.shift(31)
        assert world.app.sync.push(world.server.id).delivered == 3
    assert world.text().count("\n") == 4


def test_a_person_in_a_hurry_need_not_wait_for_the_quiet_time(world: World) -> None:
    world.app.services.servers.edit(world.alice, world.server.uid, quiet_seconds=30)
    world.add("a@example.com")
    row = world.add("b@example.com")
    world.app.services.sync.push(world.alice, world.server.uid)
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_a_large_server_has_a_quiet_time_by_itself(world: World) -> None:
    world.app.services.servers.edit(world.alice, world.server.uid, quiet_seconds=-1)
    fill(world, 200)
    assert world.add("one-more@example.com").sync_status == SyncStatus.PENDING


def test_a_password_is_kept_sealed_until_the_delivery_is_confirmed(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add("anna@example.com")
        assert row.sync_status == SyncStatus.SYNCED
        assert world.reload(row).sealed_password is not None
        clock.shift(timedelta(seconds=4))
        world.app.sync.push(world.server.id)
        assert world.reload(row).sealed_password is None
        assert world.reload(row).confirming is False


def test_a_line_that_another_writer_lost_comes_back_with_its_password(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add("anna@example.com")
        world.write(f"theirs@example.com|{O}\n")
        clock.shift(timedelta(seconds=1))
        world.app.sync.push(world.server.id)
        assert world.text() == f"theirs@example.com|{O}\nanna@example.com|{H}\n"
        clock.shift(timedelta(seconds=4))
        world.app.sync.push(world.server.id)
    assert world.reload(row).sealed_password is None
    operations = [log["operation"] for log in world.app.queries.logs(world.alice).rows]
    assert operations.count("mailbox.repair") == 1


def test_a_password_is_forgotten_after_a_minute_whatever_happens(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add("anna@example.com")
        clock.shift(timedelta(seconds=61))
        world.write("")
        world.app.sync.push(world.server.id)
        assert world.reload(row).sealed_password is None
        assert world.text() == ""


# ---- something else keeps rewriting --------------------------------------------------------


class Forgetful(DmsFiles):
    """A server whose files something else puts back at once."""

    def read(self, keys=None):  # type: ignore[no-untyped-def]
        for path in self.folder.iterdir():
            path.write_text("")
        self._parsed = None
        return super().read(keys)


def test_what_never_stays_is_failed_in_the_end(world: World) -> None:
    world.app.settings.max_attempts = 3
    world.app.sync.open_kind = lambda kind, settings, timeout: Forgetful(settings, timeout)
    row = world.add("anna@example.com")
    assert row.sync_status == SyncStatus.PENDING
    for _ in range(4):
        world.app.sync.push(world.server.id, ignore_backoff=True)
    assert world.reload(row).sync_status == SyncStatus.FAILED
    assert "gone when read back" in str(world.reload(row).error)


def test_a_lost_key_concerns_its_own_rows_only(world: World) -> None:
    break_volume(world)
    lost, kept = world.add("lost@example.com"), world.add("kept@example.com")
    with world.app.database.write() as session:
        session.get(Mailbox, lost.id).sealed_password = "gAAAA-not-ours"  # type: ignore[union-attr]
    mend_volume(world)
    assert world.app.services.sync.preview(world.alice, world.server.uid).changes
    world.app.services.sync.push(world.alice, world.server.uid)
    assert world.reload(kept).sync_status == SyncStatus.SYNCED
    assert (world.reload(lost).sync_status, world.reload(lost).error_code) == (SyncStatus.FAILED, "KEY_UNUSABLE")
    assert raw(world, "lost@example.com").status == Status.ACTIVE
