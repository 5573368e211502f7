"""A soft delete closes the login on the mail server, and is taken back as it was; keeping it open is a choice."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from provision.core.errors import Conflict, InvalidInput
from provision.core.state import Key, Resource
from provision.queries import LogFilter
from provision.services.new_mailbox import NewMailbox
from provision.services.resolving import Winner
from provision.storage.models import Mailbox, Status, SyncStatus
from tests.conftest import HASH, OTHER_HASH, World
from tests.sync.test_push import NOON, break_volume, mend_volume

H, OTHER = HASH.reveal(), OTHER_HASH.reveal()
ANNA = "anna@example.com"
OPEN, CLOSED = f"{ANNA}|{H}\n", f"{ANNA}|{H}|fail=y\n"


def records(world: World) -> list[tuple[str, str]]:
    found = world.app.queries.logs(world.alice, LogFilter(resource_type="mailbox")).rows
    return [(row["operation"], row["status"]) for row in found][::-1]


@pytest.mark.both_databases
def test_nobody_can_log_in_to_a_deleted_mailbox(world: World) -> None:
    row = world.add(ANNA)
    gone = world.app.services.mailboxes.delete(world.alice, row.uid)
    assert (gone.status, gone.sync_status, gone.login_open) == (Status.DELETED, SyncStatus.SYNCED, False)
    assert world.text() == CLOSED
    preview = world.app.services.sync.preview(world.alice, world.server.uid)
    assert (preview.unknown, preview.differing, preview.changes) == ([], [], [])
    assert records(world)[-1] == ("mailbox.delete", "SUCCESS")
    restored = world.app.services.mailboxes.restore(world.alice, row.uid)
    assert (restored.status, restored.sync_status) == (Status.ACTIVE, SyncStatus.SYNCED)
    assert world.text() == OPEN


def test_many_are_closed_in_one_push(world: World) -> None:
    bulk = world.app.services.bulk
    made = bulk.create(world.alice, [NewMailbox(f"u{n}@example.com", password_hash=HASH) for n in range(20)]).done
    result = bulk.delete(world.alice, made)
    assert (result.done, result.left_open) == (made, [])
    assert world.text().count("|fail=y\n") == 20
    bulk.restore(world.alice, made)
    assert "fail=y" not in world.text()


def test_the_login_is_left_open_where_that_is_asked_for(world: World) -> None:
    row, other = world.add(ANNA), world.add("ben@example.com")
    before = world.text()
    gone = world.app.services.mailboxes.delete(world.alice, row.uid, keep_login=True)
    assert (gone.status, gone.sync_status, gone.login_open) == (Status.DELETED, SyncStatus.SYNCED, True)
    assert world.app.services.bulk.delete(world.alice, [other.uid], keep_login=True).left_open == ["ben@example.com"]
    assert world.text() == before
    with pytest.raises(Conflict, match="restore it"):
        world.app.services.mailboxes.delete(world.alice, row.uid, keep_login=True)
    with pytest.raises(InvalidInput):
        world.app.services.mailboxes.delete(world.alice, row.uid, keep_login=True, force=True)


def test_one_that_was_left_open_is_closed_by_deleting_anew(world: World) -> None:
    row, other = world.add(ANNA), world.add("ben@example.com")
    world.app.services.bulk.delete(world.alice, [row.uid, other.uid], keep_login=True)
    assert world.app.services.mailboxes.delete(world.alice, row.uid).login_open is False
    assert CLOSED in world.text()
    assert world.app.services.bulk.delete(world.alice, [row.uid, other.uid]).done == [other.uid]
    assert world.text().count("fail=y") == 2
    assert world.app.services.mailboxes.restore(world.alice, row.uid).status == Status.ACTIVE


def test_it_is_not_called_closed_before_that_was_read_back(world: World) -> None:
    row = world.add(ANNA)
    break_volume(world)
    assert world.app.services.mailboxes.delete(world.alice, row.uid).sync_status == SyncStatus.PENDING
    shown = world.app.queries.mailbox_row(world.alice, row.uid)
    assert shown["reason_code"] == "SERVER_UNREACHABLE"
    assert world.app.queries.counts(world.alice)["mailbox.PENDING"] == 1
    restored = world.app.services.mailboxes.restore(world.alice, row.uid)
    assert (restored.status, restored.sync_status) == (Status.ACTIVE, SyncStatus.PENDING)
    world.app.services.mailboxes.delete(world.alice, row.uid)
    mend_volume(world)
    world.app.services.sync.push(world.alice, world.server.uid)
    assert (world.text(), world.reload(row).sync_status) == (CLOSED, SyncStatus.SYNCED)


def test_what_waited_arrives_with_the_closed_login(world: World) -> None:
    row = world.add(ANNA)
    break_volume(world)
    world.app.services.mailboxes.reset_password(world.alice, row.uid)
    world.app.services.mailboxes.edit(world.alice, row.uid, quota_bytes=5 << 20)
    world.app.services.mailboxes.delete(world.alice, row.uid)
    mend_volume(world)
    world.app.services.sync.push(world.alice, world.server.uid)
    assert world.text().endswith("|fail=y\n")
    assert H not in world.text(), "the newest password is the one that comes back"
    assert world.text("dovecot-quotas.cf") == f"{ANNA}:5M\n"
    assert {status for _, status in records(world)} == {"SUCCESS"}


@pytest.mark.both_databases
def test_one_that_never_arrived_is_not_made(world: World) -> None:
    break_volume(world)
    row = world.add(ANNA)
    world.app.services.mailboxes.delete(world.alice, row.uid)
    mend_volume(world)
    world.app.services.sync.push(world.alice, world.server.uid)
    assert world.text().strip() == ""
    assert world.reload(row).sync_status == SyncStatus.SYNCED
    assert records(world) == [("mailbox.create", "FAILED"), ("mailbox.delete", "SUCCESS")]
    assert world.app.services.mailboxes.restore(world.alice, row.uid).sync_status == SyncStatus.SYNCED
    assert world.text() == OPEN


def test_one_that_arrived_and_was_not_recorded_is_closed(world: World) -> None:
    break_volume(world)
    row = world.add(ANNA)
    mend_volume(world)
    world.write(OPEN)  # by a push that was killed before it could say so
    world.app.services.mailboxes.delete(world.alice, row.uid)
    world.app.services.sync.push(world.alice, world.server.uid)
    assert (world.text(), world.reload(row).sync_status) == (CLOSED, SyncStatus.SYNCED)
    world.app.services.mailboxes.restore(world.alice, row.uid)
    assert world.text() == OPEN


@pytest.mark.both_databases
def test_one_that_arrives_while_it_is_deleted_is_closed(world: World) -> None:
    open_kind = world.app.sync.open_kind

    def meanwhile(kind: str, settings: Any, timeout: float) -> Any:
        world.app.sync.open_kind = open_kind
        found = world.app.queries.mailbox_by_address(world.alice, ANNA)
        world.app.services.mailboxes.delete(world.alice, found.uid)
        return open_kind(kind, settings, timeout)

    world.app.sync.open_kind = meanwhile
    row = world.add(ANNA)
    world.app.services.sync.push(world.alice, world.server.uid)
    assert (world.text(), world.reload(row).sync_status) == (CLOSED, SyncStatus.SYNCED)
    world.app.services.mailboxes.restore(world.alice, row.uid)
    assert world.text() == OPEN


def test_an_account_that_somebody_else_made_is_not_closed(world: World) -> None:
    world.write(f"{ANNA}|{OTHER}\n")
    row = world.add(ANNA)
    assert row.sync_status == SyncStatus.FAILED
    world.app.services.mailboxes.delete(world.alice, row.uid)
    assert world.text() == f"{ANNA}|{OTHER}\n"


def test_a_login_that_was_opened_on_the_server_is_a_difference(world: World) -> None:
    row = world.add(ANNA)
    world.app.services.mailboxes.delete(world.alice, row.uid)
    world.write(OPEN)
    with time_machine.travel(NOON):
        world.app.sync.push(world.server.id)
    differing = world.app.services.sync.preview(world.alice, world.server.uid).differing
    assert [(d.field, d.theirs) for d in differing] == [("login", "enabled")]
    key = Key(Resource.MAILBOX, ANNA)
    world.app.services.sync.resolve(world.alice, world.server.uid, key, Winner.DASHBOARD)
    assert world.text() == CLOSED
    world.write(OPEN)
    world.app.services.sync.resolve(world.alice, world.server.uid, key, Winner.SERVER)
    now = world.reload(row)
    assert (now.status, now.login_open, now.sync_status) == (Status.DELETED, True, SyncStatus.SYNCED)
    assert world.text() == OPEN


def test_a_line_that_another_writer_lost_comes_back_closed(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add(ANNA)
        world.app.services.mailboxes.delete(world.alice, row.uid)
        world.write(f"theirs@example.com|{OTHER}\n")
        clock.shift(timedelta(seconds=1))
        world.app.sync.push(world.server.id)
    assert world.text() == f"theirs@example.com|{OTHER}\n{CLOSED}"


def test_a_lost_key_does_not_keep_a_login_open(world: World) -> None:
    row = world.add(ANNA)
    with world.app.database.write() as session:
        session.execute(update(Mailbox).values(sealed_password="sealed with a key that is gone"))
    world.app.services.mailboxes.delete(world.alice, row.uid)
    assert (world.text(), world.reload(row).sync_status) == (CLOSED, SyncStatus.SYNCED)


def test_closed_accounts_count_among_those_that_should_be_there(world: World) -> None:
    bulk = world.app.services.bulk
    made = bulk.create(world.alice, [NewMailbox(f"u{n}@example.com", password_hash=HASH) for n in range(20)]).done
    bulk.delete(world.alice, made[:15])
    world.write("".join(f"u{n}@example.com|{H}\n" for n in range(15, 20)))
    with time_machine.travel(NOON):
        world.app.services.mailboxes.disable(world.alice, made[19])
    assert world.app.queries.server_by_name(world.alice, "main").alarm
