"""The audit chain: whatever is done to the records behind the program's back is found, at its place."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
import time_machine
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from provision.audit import chain
from provision.core.errors import WeakPassword
from provision.core.secret import Secret
from provision.services.new_mailbox import NewMailbox
from provision.storage.database import Database
from provision.storage.models import AuditLink, ProvisionLog
from tests.conftest import World
from tests.sync.test_push import NOON

pytestmark = pytest.mark.both_databases

Attack = Callable[[Database], None]
TRIGGERS = {
    "provision_log": ("finished", "intent", "kept", "new", "not_emptied"),
    "audit_link": ("fixed", "kept", "new", "not_emptied"),
    "audit_checkpoint": ("fixed", "kept", "new", "not_emptied"),
}


def run(database: Database, *statements: str) -> None:
    """As somebody who holds the database, in one transaction."""
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def drop_triggers(database: Database) -> None:
    for table, names in TRIGGERS.items():
        on = "" if database.is_sqlite else f" ON {table}"
        run(database, *(f"DROP TRIGGER IF EXISTS {table}_{name}{on}" for name in names))


@pytest.fixture
def history(world: World) -> World:
    """Ten mailboxes made one after the other; then the triggers are gone."""
    for number in range(10):
        world.add(f"u{number}@example.com")
    assert world.app.queries.verify_audit(world.alice).intact
    drop_triggers(world.app.database)
    return world


def link_of(world: World, number: int) -> AuditLink:
    with world.app.database.read() as session:
        return session.get_one(AuditLink, number)


# ---- the database refuses ------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE provision_log SET operator = 'nobody'",
        "UPDATE provision_log SET stdout = 'x' WHERE status = 'SUCCESS'",
        "UPDATE provision_log SET status = 'PENDING' WHERE status = 'SUCCESS'",
        "DELETE FROM provision_log",
        "DELETE FROM provision_log WHERE id = 1",
        "UPDATE audit_link SET digest = 'x'",
        "UPDATE audit_link SET seq = seq + 100",
        "DELETE FROM audit_link",
        "DELETE FROM audit_link WHERE seq = (SELECT max(seq) FROM audit_link)",
    ],
)
def test_the_database_refuses_to_change_or_remove_a_record(world: World, statement: str) -> None:
    world.add("anna@example.com")
    with pytest.raises(DBAPIError, match="never"):
        run(world.app.database, statement)
    assert world.app.queries.verify_audit(world.alice).intact


def test_what_was_wanted_is_frozen_while_it_is_pending(world: World) -> None:
    world.volume.rename(world.volume.with_name("away"))
    world.add("anna@example.com")
    with pytest.raises(DBAPIError):
        run(world.app.database, "UPDATE provision_log SET operator = 'mallory' WHERE status = 'PENDING'")


def test_postgresql_refuses_to_empty_the_tables(world: World) -> None:
    if world.app.database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE.")
    for table in TRIGGERS:
        with pytest.raises(DBAPIError, match="never changed"):
            run(world.app.database, f"TRUNCATE {table}")


# ---- doctored all the same -----------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "operator = 'mallory'",
        "ip = NULL",
        "payload = '{}'",
        "stdout = 'x'",
        "exit_code = 7",
        "status = 'FAILED'",
        "command = 'true'",
        "generation = 9",
        "domain = 'x.io'",
    ],
)
def test_a_changed_record_breaks_the_chain_at_its_first_link(history: World, change: str) -> None:
    uid = link_of(history, 15).log_uid
    with history.app.database.read() as session:
        links = [link.seq for link in session.query(AuditLink).filter(AuditLink.log_uid == uid).order_by(AuditLink.seq)]
        row = session.query(ProvisionLog).filter(ProvisionLog.uid == uid).one()
    run(history.app.database, f"UPDATE provision_log SET {change} WHERE id = {row.id}")
    report = history.app.queries.verify_audit(history.alice)
    assert report.broken_at in links
    assert "was changed" in str(report.reason)


def test_a_removed_record_is_missed_at_its_link(history: World) -> None:
    link = link_of(history, 15)
    with history.app.database.read() as session:
        row = session.query(ProvisionLog).filter(ProvisionLog.uid == link.log_uid).one()
        first = session.query(AuditLink).filter(AuditLink.log_uid == link.log_uid).order_by(AuditLink.seq).first()
    run(history.app.database, f"DELETE FROM provision_log WHERE id = {row.id}")
    report = history.app.queries.verify_audit(history.alice)
    assert first is not None
    assert report.broken_at == first.seq
    assert "is gone from the log" in str(report.reason)


def test_an_inserted_record_has_no_link(history: World) -> None:
    columns = "operator, operation, resource_type, payload, status, started_at"
    copied = f"SELECT {new_uid(history)}, {columns} FROM provision_log WHERE id = 3"
    run(history.app.database, f"INSERT INTO provision_log (uid, {columns}) {copied}")
    report = history.app.queries.verify_audit(history.alice)
    assert "no intent link" in str(report.reason)


def new_uid(world: World) -> str:
    return "'" + "0" * 32 + "'" if world.app.database.is_sqlite else "gen_random_uuid()"


@pytest.mark.parametrize("number", [1, 2, 15])
def test_a_removed_link_leaves_a_gap(history: World, number: int) -> None:
    run(history.app.database, f"DELETE FROM audit_link WHERE seq = {number}")
    report = history.app.queries.verify_audit(history.alice)
    assert (report.broken_at, "gone" in str(report.reason)) == (number, True)


@pytest.mark.parametrize("number", [1, 15])
def test_a_removed_link_is_missed_when_the_rest_moves_up(history: World, number: int) -> None:
    run(
        history.app.database,
        f"DELETE FROM audit_link WHERE seq = {number}",
        "UPDATE audit_link SET seq = -seq",
        f"UPDATE audit_link SET seq = CASE WHEN -seq > {number} THEN -seq - 1 ELSE -seq END",
    )
    assert history.app.queries.verify_audit(history.alice).broken_at == number


@pytest.mark.parametrize(
    "change", ["digest = 'x'", "hash = 'x'", "phase = 'outcome'", "at = '2020-01-01 00:00:00+00:00'"]
)
def test_a_changed_link_is_found(history: World, change: str) -> None:
    change = change if history.app.database.is_sqlite or "at =" not in change else "at = at - interval '1 second'"
    number = next(n for n in range(10, 20) if link_of(history, n).phase == "intent")
    run(history.app.database, f"UPDATE audit_link SET {change} WHERE seq = {number}")
    assert history.app.queries.verify_audit(history.alice).broken_at == number


def test_links_that_changed_places_are_found(history: World) -> None:
    run(
        history.app.database,
        *(f"UPDATE audit_link SET seq = {new} WHERE seq = {old}" for old, new in ((10, -1), (11, 10), (-1, 11))),
    )
    assert history.app.queries.verify_audit(history.alice).broken_at == 10


def test_an_inserted_link_is_found(history: World) -> None:
    columns = "at, phase, log_uid, digest, hash"
    run(
        history.app.database,
        "UPDATE audit_link SET seq = -seq WHERE seq >= 10",
        "UPDATE audit_link SET seq = 1 - seq WHERE seq < 0",
        f"INSERT INTO audit_link (seq, {columns}) SELECT 10, {columns} FROM audit_link WHERE seq = 9",
    )
    assert history.app.queries.verify_audit(history.alice).broken_at == 10


def test_a_cut_tail_of_links_is_found_by_the_records_left_over(history: World) -> None:
    last = history.app.queries.audit_head(history.alice)["links"]
    run(history.app.database, f"DELETE FROM audit_link WHERE seq > {last - 2}")
    report = history.app.queries.verify_audit(history.alice)
    assert report.broken_at == last - 1
    assert "cut off" in str(report.reason)


def test_a_tail_that_was_cut_with_its_records_is_found_by_the_exported_head(history: World) -> None:
    head = history.app.queries.audit_head(history.alice)
    last = head["links"]
    run(
        history.app.database,
        f"DELETE FROM provision_log WHERE uid IN (SELECT log_uid FROM audit_link WHERE seq > {last - 2})",
        f"DELETE FROM audit_link WHERE seq > {last - 2}",
    )
    assert history.app.queries.verify_audit(history.alice).intact  # nothing inside can tell
    report = history.app.queries.verify_audit(history.alice, head)
    assert (report.broken_at, "2 links are gone" in str(report.reason)) == (last - 1, True)


def test_a_chain_that_was_computed_anew_without_the_key_is_found(history: World) -> None:
    forge(history.app.database)
    report = history.app.queries.verify_audit(history.alice)
    assert "not made with the key" in str(report.reason)


def test_a_chain_that_was_computed_anew_with_the_key_is_found_by_the_exported_head(history: World) -> None:
    """Who has the data folder as well can do that."""
    head = history.app.queries.audit_head(history.alice)
    forge(history.app.database, history.app.database.chain_keys[0])
    assert history.app.queries.verify_audit(history.alice).intact
    assert not history.app.queries.verify_audit(history.alice, head).intact


def forge(database: Database, key: bytes | None = None) -> None:
    """Somebody with the source code: change the first record and all hashes after it."""
    with database.write() as session:
        log = session.query(ProvisionLog).order_by(ProvisionLog.id).first()
        assert log is not None
        log.operator = "mallory"
        session.flush()
        head = chain.GENESIS
        for link in session.query(AuditLink).order_by(AuditLink.seq):
            if link.phase != chain.CHECKPOINT:
                row = session.query(ProvisionLog).filter(ProvisionLog.uid == link.log_uid).one()
                record = {c.name: getattr(row, c.name) for c in ProvisionLog.__table__.columns}
                link.digest = chain.record_digest(link.phase, record, keyed=key is not None)
            told = (link.seq, link.at, link.phase, link.log_uid, link.digest)
            head = link.hash = chain.link_hash(head, *told, key)


def test_an_exported_head_stays_good_while_the_chain_grows(world: World) -> None:
    world.add("anna@example.com")
    head = world.app.queries.audit_head(world.alice)
    world.add("bob@example.com")
    assert world.app.queries.verify_audit(world.alice, head).intact


# ---- no secret anywhere --------------------------------------------------------------------


def dump(database: Database, url: str, folder: Path) -> bytes:
    """Every byte the database keeps, or its whole dump."""
    if database.is_sqlite:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return b"".join(path.read_bytes() for path in folder.glob("postroom.db*"))
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return subprocess.run(["pg_dump", "--inserts", plain], check=True, capture_output=True).stdout


def test_no_password_and_no_hash_is_kept_anywhere(
    world: World, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["Plain-Horse-11", "Reset-Horse-22", "Bulk-Horse-33", "weak"]
    services, secrets = world.app.services, set(words[:3])
    with structlog.testing.capture_logs() as logged, time_machine.travel(NOON, tick=False) as clock:
        row = services.mailboxes.create(world.alice, NewMailbox("anna@example.com", Secret(words[0])))
        secrets.add(world.text().split("|")[1].strip())
        clock.shift(70)
        world.app.sync.push(world.server.id)
        services.mailboxes.reset_password(world.alice, row.uid, Secret(words[1]))
        _, made = services.mailboxes.reset_password(world.alice, row.uid)
        assert made is not None
        services.bulk.create(world.alice, [NewMailbox("bulk@example.com", Secret(words[2]))])
        with pytest.raises(WeakPassword):
            services.mailboxes.reset_password(world.alice, row.uid, Secret(words[3]))
        services.operators.create(world.alice, "olaf", "Viewer", password=Secret("Olaf-Horse-44"))
        world.volume.rename(world.volume.with_name("away"))
        clock.shift(5)
        world.app.sync.push(world.server.id, ignore_backoff=True)
        world.volume.with_name("away").rename(world.volume)
        for _ in range(2):
            clock.shift(70)
            world.app.sync.push(world.server.id, ignore_backoff=True)
    secrets |= {made.reveal(), "Olaf-Horse-44"} | {line.split("|")[1] for line in world.text().splitlines()}
    kept = dump(world.app.database, database_url, tmp_path)
    assert b"anna@example.com" in kept
    shown = repr(logged) + "".join(capsys.readouterr())
    for secret in secrets:
        assert secret.encode() not in kept, secret
        assert secret not in shown
    assert b"$6$" not in kept
    assert "***" in repr([log["payload"] for log in world.app.queries.logs(world.alice).rows])
