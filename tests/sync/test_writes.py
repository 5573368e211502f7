"""Writing, apart from delivery: deleting and restoring, locks against each other, repeated calls, many at once."""

import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import func, select, update

from provision.core.errors import Conflict, InvalidInput, NotFound, ProvisionError
from provision.core.passwords import verify_password
from provision.core.secret import Secret
from provision.jobs.loop import Jobs
from provision.queries import LogFilter, MailboxFilter
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox, ProvisionLog, Status, SyncStatus, utc_now
from tests.conftest import HASH, PASSWORD, World
from tests.sync.test_push import NOON

H = HASH.reveal()


def news(count: int, domain: str = "example.com") -> list[NewMailbox]:
    return [NewMailbox(f"u{n}@{domain}", password_hash=HASH) for n in range(count)]


# ---- deleting ------------------------------------------------------------------------------


def test_a_soft_delete_leaves_the_account_and_is_taken_back(world: World) -> None:
    row = world.add("anna@example.com")
    world.app.services.mailboxes.delete(world.alice, row.uid)
    assert world.text() == f"anna@example.com|{H}|fail=y\n"
    assert world.app.queries.mailboxes(world.alice).total == 0
    assert world.app.queries.mailboxes(world.alice, MailboxFilter(status=Status.DELETED)).total == 1
    assert world.app.services.sync.preview(world.alice, world.server.uid).unknown == []
    restored = world.app.services.mailboxes.restore(world.alice, row.uid)
    assert (restored.status, restored.sync_status) == (Status.ACTIVE, SyncStatus.SYNCED)
    assert world.text() == f"anna@example.com|{H}\n"


def test_a_deleted_address_is_not_made_anew_before_it_is_gone(world: World) -> None:
    row = world.add("anna@example.com")
    world.app.services.mailboxes.delete(world.alice, row.uid)
    with pytest.raises(Conflict, match="restore it"):
        world.add("anna@example.com")
    world.app.services.mailboxes.delete(world.alice, row.uid, force=True)
    with pytest.raises(NotFound):
        world.reload(row)
    assert world.add("anna@example.com").sync_status == SyncStatus.SYNCED


def test_a_tombstone_waits_for_a_server_that_is_down(world: World) -> None:
    row = world.add("anna@example.com")
    world.volume.rename(world.volume.with_name("away"))
    world.app.services.mailboxes.delete(world.alice, row.uid, force=True)
    assert (world.reload(row).removing, world.reload(row).sync_status) == (True, SyncStatus.PENDING)
    with pytest.raises(Conflict, match="cannot be restored"):
        world.app.services.mailboxes.restore(world.alice, row.uid)
    with pytest.raises(Conflict, match="still being removed"):
        world.add("anna@example.com")
    world.volume.with_name("away").rename(world.volume)
    world.app.services.sync.push(world.alice, world.server.uid)
    assert world.text().strip() == ""
    assert world.app.queries.unsynced(world.alice).total == 0


def test_mail_is_not_promised_to_be_erased_where_it_cannot(world: World) -> None:
    row = world.add("anna@example.com")
    with pytest.raises(InvalidInput, match="cannot be erased"):
        world.app.services.mailboxes.delete(world.alice, row.uid, force=True, erase_mail=True)
    assert world.reload(row).removing is False
    several = world.app.services.bulk.delete(world.alice, [row.uid], force=True, erase_mail=True)
    assert (several.done, [(e.index, e.name) for e in several.errors]) == ([], [(0, "anna@example.com")])
    assert "cannot be erased" in several.errors[0].error.message
    assert world.reload(row).removing is False


def test_mail_is_erased_only_with_the_account(world: World) -> None:
    row = world.add("anna@example.com")
    for delete in (
        lambda: world.app.services.mailboxes.delete(world.alice, row.uid, erase_mail=True),
        lambda: world.app.services.bulk.delete(world.alice, [row.uid], erase_mail=True),
    ):
        with pytest.raises(InvalidInput) as caught:
            delete()
        assert caught.value.code == "FORCE_NEEDED"
    assert world.reload(row).status == Status.ACTIVE


# ---- two people at once --------------------------------------------------------------------


def edits(world: World) -> list[Callable[[int], Any]]:
    app, alice = world.app.services, world.alice
    row = world.add("anna@example.com")
    alias = app.aliases.create(alice, "sales@example.com", ["anna@example.com"])
    olaf, _ = app.operators.create(alice, "olaf", "Viewer")
    app.operators.create(alice, "root", "SuperAdmin")
    return [
        lambda v: app.mailboxes.edit(alice, row.uid, quota_bytes=1 << 20, expected_version=v),
        lambda v: app.mailboxes.edit(alice, row.uid, quota_bytes=2 << 20, expected_version=v),
        lambda v: app.aliases.edit(alice, alias.uid, ["b@example.com"], expected_version=v),
        lambda v: app.domains.edit(alice, world.com.uid, description="x", expected_version=v),
        lambda v: app.servers.edit(alice, world.server.uid, quiet_seconds=0, expected_version=v),
        lambda v: app.operators.edit(alice, olaf.uid, role="DomainAdmin", expected_version=v),
        lambda v: app.mailboxes.disable(alice, row.uid, expected_version=v),
        lambda v: app.mailboxes.enable(alice, row.uid, expected_version=v),
        lambda v: app.mailboxes.restore(alice, row.uid, expected_version=v),
        lambda v: app.mailboxes.reset_password(alice, row.uid, expected_version=v),
        lambda v: app.domains.delete(alice, world.org.uid, expected_version=v),
        lambda v: app.aliases.delete(alice, alias.uid, expected_version=v),
        lambda v: app.mailboxes.delete(alice, row.uid, force=True, expected_version=v),
    ]


def test_an_edit_of_what_somebody_else_has_changed_is_refused(world: World) -> None:
    for edit in edits(world):
        with pytest.raises(Conflict, match="Nothing was saved") as caught:
            edit(999)
        assert caught.value.code == "EDIT_CONFLICT"
    assert world.app.queries.mailbox_by_address(world.alice, "anna@example.com").quota_bytes == 1 << 30


@pytest.mark.both_databases
def test_of_two_edits_from_one_page_the_second_is_refused(world: World) -> None:
    row = world.add("anna@example.com")

    def edit(megabytes: int) -> str:
        try:
            world.app.services.mailboxes.edit(
                world.alice, row.uid, quota_bytes=megabytes << 20, expected_version=row.version
            )
        except Conflict as conflict:
            return conflict.code
        return "saved"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(edit, range(1, 5))) == ["EDIT_CONFLICT"] * 3 + ["saved"]


@pytest.mark.both_databases
def test_of_two_that_make_the_same_mailbox_at_once_one_is_told_so(world: World) -> None:
    def make(_: int) -> str:
        try:
            world.add("anna@example.com")
        except Conflict as conflict:
            return conflict.code
        return "made"

    with ThreadPoolExecutor(4) as pool:
        results = sorted(pool.map(make, range(4)))
    assert results.count("made") == 1
    assert set(results) <= {"made", "DUPLICATE_MAILBOX", "DUPLICATE"}
    assert world.text().count("\n") == 1


# ---- the same call twice -------------------------------------------------------------------


def creations(world: World) -> dict[str, Callable[..., Any]]:
    app, alice = world.app.services, world.alice
    return {
        "mailbox": lambda name, **k: (
            app.mailboxes.create(alice, NewMailbox(f"{name}@example.com", password_hash=HASH), **k).uid
        ),
        "mailboxes": lambda name, **k: (
            app.bulk.create(alice, [NewMailbox(f"m-{name}@example.com", password_hash=HASH)], **k).done
        ),
        "alias": lambda name, **k: app.aliases.create(alice, f"al-{name}@example.com", ["x@y.net"], **k).uid,
        "domain": lambda name, **k: app.domains.create(alice, f"{name}.example", "main", **k).uid,
        "server": lambda name, **k: app.servers.create(alice, name, "dms_files", {"path": "/x"}, **k).uid,
        "operator": lambda name, **k: app.operators.create(alice, name, "Viewer", **k)[0].uid,
    }


@pytest.mark.both_databases
def test_a_repeated_call_with_its_key_gives_the_same_thing(world: World) -> None:
    for number, (name, create) in enumerate(creations(world).items()):
        made = create("one", idempotency_key=f"k{number}")
        assert create("one", idempotency_key=f"k{number}") == made, name
        with pytest.raises(Conflict) as caught:
            create("two", idempotency_key=f"k{number}")
        assert caught.value.code == "IDEMPOTENCY_CONFLICT", name
    assert world.app.queries.mailboxes(world.alice).total == 2
    assert world.app.queries.aliases(world.alice).total == 1


def test_a_repeated_call_of_many_tells_again_what_became_of_each(world: World) -> None:
    (one, two) = news(2)
    asked = [NewMailbox("-rf@x", password_hash=HASH), one, replace(one, display_name="again"), two]

    def create() -> tuple[list[UUID], list[tuple[int, str, str, str, object]]]:
        made = world.app.services.bulk.create(world.alice, asked, idempotency_key="k")
        errors = [(e.index, e.name, e.error.code, e.error.message, e.error.details) for e in made.errors]
        return made.done, errors

    first = create()
    world.app.services.mailboxes.delete(world.alice, first[0][0], force=True)
    assert create() == first
    assert [code for _, _, code, *_ in first[1]] == ["INVALID_EMAIL", "DUPLICATE_MAILBOX"]


@pytest.mark.both_databases
def test_a_call_without_key_is_a_duplicate(world: World) -> None:
    for create in creations(world).values():
        create("one")
        try:
            again = create("one")
        except ProvisionError as error:
            assert error.code.startswith("DUPLICATE")  # noqa: PT017
        else:
            assert again == []


def test_keys_of_two_people_have_nothing_to_do_with_each_other(world: World) -> None:
    world.app.services.mailboxes.create(world.alice, news(1)[0], idempotency_key="k")
    with pytest.raises(Conflict) as caught:
        world.app.services.mailboxes.create(world.dora, news(1)[0], idempotency_key="k")
    assert caught.value.code == "DUPLICATE_MAILBOX"


# ---- many at once --------------------------------------------------------------------------


@pytest.mark.both_databases
def test_the_bulk_forms_change_thousands_and_report_what_they_leave_out(world: World) -> None:
    app, alice = world.app.services, world.alice
    bad = [
        NewMailbox("u1@example.com", password_hash=HASH),
        NewMailbox("-rf@x", password_hash=HASH),
        NewMailbox("a@nowhere.example", password_hash=HASH),
    ]
    with time_machine.travel(NOON, tick=False) as clock:
        created = app.bulk.create(alice, [*news(1500), *bad])
        uids = created.done
        assert (len(uids), [e.error.code for e in created.errors]) == (
            1500,
            ["INVALID_EMAIL", "DUPLICATE_MAILBOX", "DOMAIN_NOT_FOUND"],
        )
        clock.shift(61)
        assert len(app.bulk.disable(alice, uids[:1000]).done) == 1000
        again = app.bulk.disable(alice, uids[:1001])
        assert (len(again.done), len(again.unchanged)) == (1, 1000)
        assert len(app.bulk.enable(alice, uids[:1]).done) == 1
        assert len(app.bulk.set_quota(alice, uids, 5 << 20).done) == 1500
        deleted = app.bulk.delete(alice, uids[:400], force=True)
        assert len(deleted.done) == 400
        app.sync.push(alice, world.server.uid)
    counts = world.app.queries.counts(alice)
    assert (counts["mailbox.SYNCED"], counts["mailbox.DISABLED"], counts.get("mailbox.PENDING", 0)) == (1100, 601, 0)
    assert world.text().count("fail=y") == 601
    assert world.text("dovecot-quotas.cf").count(":5M\n") == 1100
    assert world.app.queries.verify_audit(alice).intact


def test_a_bulk_call_with_one_foreign_mailbox_changes_nothing(world: World) -> None:
    mine, other = world.add("anna@example.com"), world.add("boss@example.org")
    with pytest.raises(ProvisionError, match="not yours"):
        world.app.services.bulk.disable(world.dora, [mine.uid, other.uid])
    assert "fail=y" not in world.text()
    assert world.reload(mine).status == Status.ACTIVE


def test_a_dry_run_makes_nothing(world: World) -> None:
    result = world.app.services.bulk.create(world.alice, [*news(3), *news(1)], dry_run=True)
    assert [error.index for error in result.errors] == [3]
    assert (world.app.queries.mailboxes(world.alice).total, world.text()) == (0, "")


@pytest.mark.both_databases
def test_a_change_made_while_a_push_runs_is_not_marked_done(world: World) -> None:
    row = world.add("anna@example.com")
    open_kind = world.app.sync.open_kind

    def meanwhile(kind: str, settings: Any, timeout: float) -> Any:
        world.app.sync.open_kind = open_kind
        with world.app.database.write() as session:
            found = session.get_one(Mailbox, row.id)
            found.quota_bytes, found.generation = 9 << 20, found.generation + 1
        return open_kind(kind, settings, timeout)

    world.app.sync.open_kind = meanwhile
    world.app.services.mailboxes.disable(world.alice, row.uid)
    assert world.reload(row).sync_status == SyncStatus.PENDING
    world.app.services.sync.push(world.alice, world.server.uid)
    assert world.reload(row).sync_status == SyncStatus.SYNCED
    assert world.text("dovecot-quotas.cf") == "anna@example.com:9M\n"
    assert world.text().endswith("|fail=y\n")


def test_a_disabled_mailbox_is_disabled_again_when_it_is_restored(world: World) -> None:
    row = world.add("anna@example.com")
    world.app.services.mailboxes.disable(world.alice, row.uid)
    world.app.services.mailboxes.delete(world.alice, row.uid)
    assert world.app.services.mailboxes.restore(world.alice, row.uid).status == Status.DISABLED
    assert world.text().endswith("|fail=y\n")


@pytest.mark.both_databases
def test_many_are_restored_in_one_transaction_and_one_push(world: World) -> None:
    app, alice = world.app.services, world.alice
    made = app.bulk.create(alice, news(4)).done
    app.mailboxes.disable(alice, made[1])
    app.bulk.delete(alice, made[:3])
    world.volume.rename(world.volume.with_name("away"))
    app.mailboxes.delete(alice, made[2], force=True)
    world.volume.with_name("away").rename(world.volume)
    with world.app.database.read() as session:
        before = session.scalar(select(func.max(ProvisionLog.id)))
    with time_machine.travel(utc_now() + timedelta(minutes=1)):  # after the pause that an unreachable server gets
        result = app.bulk.restore(alice, made)
    assert (result.done, result.unchanged) == (made[:2], [made[3]])
    assert [(e.index, e.name, e.error.code) for e in result.errors] == [(2, "u2@example.com", "SYNC_CONFLICT")]
    rows = [world.app.queries.mailbox(alice, uid) for uid in made[:2]]
    assert [(row.status, row.sync_status) for row in rows] == [("ACTIVE", "SYNCED"), ("DISABLED", "SYNCED")]
    with world.app.database.read() as session:
        records = session.execute(select(ProvisionLog.operation, ProvisionLog.status).where(ProvisionLog.id > before))
        assert list(records) == [("mailbox.restore", "SUCCESS")] * 2


def test_a_mailbox_is_made_with_its_aliases(world: World) -> None:
    world.add("anna@example.com", aliases=("info@example.com", "@example.org"))
    assert "info@example.com anna@example.com\n" in world.text("postfix-virtual.cf")
    with pytest.raises(Conflict):
        world.add("ben@example.com", aliases=("info@example.com",))
    assert world.app.queries.mailboxes(world.alice).total == 1


def test_a_tombstone_deletes_what_we_wrote_just_before_a_crash(world: World) -> None:
    row = world.add("anna@example.com")
    with world.app.database.write() as session:  # as if the process had died between write and record
        values = {"owned": False, "synced_generation": 0, "confirming": False}
        session.execute(update(Mailbox).where(Mailbox.id == row.id).values(values))
    world.app.services.mailboxes.delete(world.alice, row.uid, force=True)
    assert "anna" not in world.text()


def test_the_last_domain_of_a_viewer_is_not_deleted_in_passing(world: World) -> None:
    """They would see all domains from then on."""
    world.app.services.operators.create(world.alice, "ida", "Viewer", domains=["example.org"], password=PASSWORD)
    with pytest.raises(Conflict, match="ida"):
        world.app.services.domains.delete(world.alice, world.org.uid)
    world.app.services.domains.delete(world.alice, world.com.uid)


def test_a_mail_server_is_forgotten_only_without_domains(world: World) -> None:
    with pytest.raises(Conflict, match=r"example\.com, example\.org"):
        world.app.services.servers.delete(world.alice, world.server.uid)
    for domain in (world.com, world.org):
        world.app.services.domains.delete(world.alice, domain.uid)
    world.app.services.servers.delete(world.alice, world.server.uid)
    assert world.app.queries.servers(world.alice) == []
    Jobs(world.app).sweep()


@pytest.mark.parametrize(
    "wrong",
    [
        {"imap_security": "ssl"},
        {"imap_port": "99999"},
        {"imap_port": "imaps"},
        {"imap_verify": "perhaps"},
        {"path": "x"},
    ],
)
def test_settings_that_cannot_be_right_are_refused(world: World, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        world.app.services.servers.create(world.alice, "second", "dms_files", {"path": "/x", **wrong})


def test_who_an_alias_belongs_to_is_recorded(world: World) -> None:
    row = world.add("anna@example.com")
    alias = world.app.services.aliases.create(world.alice, "info@example.com", ["x@elsewhere.net"])
    for owner in (row.uid, None):
        world.app.services.aliases.assign(world.alice, alias.uid, owner)
    found = world.app.queries.logs(world.alice, LogFilter(operation="alias.assign")).rows
    assert [record["payload"]["mailbox"] for record in found] == [None, "anna@example.com"]


def test_the_own_address_of_an_operator_is_theirs_alone_and_recorded(world: World) -> None:
    app = world.app.services
    olga, _ = app.operators.create(world.alice, "olga", "Viewer", email="olga@example.com")
    with pytest.raises(Conflict, match="address of olga"):
        app.operators.create(world.alice, "otto", "Viewer", email="olga@example.com")
    app.operators.edit(world.alice, olga.uid, email="o@example.com")
    (record,) = world.app.queries.logs(world.alice, LogFilter(operation="operator.edit")).rows
    assert record["payload"]["email"] == "o@example.com"


@pytest.mark.both_databases
@pytest.mark.parametrize("count", [2, 40])
def test_many_deleted_mailboxes_leave_the_aliases_that_name_them(world: World, count: int) -> None:
    app = world.app.services
    news = [NewMailbox(f"u{n}@example.com", password_hash=HASH) for n in range(count + 1)]
    uids = app.bulk.create(world.alice, news).done
    everybody = app.aliases.create(world.alice, "all@example.com", [new.address for new in news])
    some = app.aliases.create(world.alice, "some@example.com", ["u0@example.com", "u1@example.com"])
    app.bulk.delete(world.alice, uids[:count], force=True)
    app.sync.force_push(world.alice, world.server.uid)
    left = world.app.queries.alias(world.alice, everybody.uid)
    assert left.destinations == [f"u{count}@example.com"]
    with pytest.raises(NotFound):
        world.app.queries.alias(world.alice, some.uid)
    assert world.text("postfix-virtual.cf") == f"all@example.com u{count}@example.com\n"


@pytest.mark.parametrize("form", ["NFD", "NFC"])
def test_a_password_reaches_the_server_in_one_form(world: World, form: str) -> None:
    """However the keyboard composes it: Dovecot compares bytes."""
    typed = Secret(unicodedata.normalize(form, "Zürich-Ärger-１"))
    sent = Secret("Zürich-Ärger-1")
    row = world.add("anna@example.com", password=typed, password_hash=None)
    world.app.services.bulk.create(world.alice, [NewMailbox("ben@example.com", typed)])
    for line in world.text().splitlines():
        assert verify_password(sent, Secret(line.split("|")[1]))
    world.app.services.mailboxes.reset_password(world.alice, row.uid, Secret(f"{typed.reveal()}2"))
    assert verify_password(Secret("Zürich-Ärger-12"), Secret(world.text().splitlines()[0].split("|")[1]))
