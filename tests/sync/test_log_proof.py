"""What the log proves: whatever is changed in a database file is found; and the key that it takes for that."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.models import LogRecord
from api.rows import log_record
from provision.app import Postroom, open_postroom
from provision.audit import chain
from provision.audit.archive import archive_log
from provision.audit.proof import ChainReport
from provision.core.access import Actor
from provision.core.errors import ProvisionError
from provision.ops.backup import restore_backup, write_backup
from provision.ops.keys import make_new
from provision.settings.config import Settings
from provision.storage.models import LogStatus, ProvisionLog, utc_now
from tests.conftest import World, make_world
from tests.nightly import by_day
from tests.sync.test_audit import drop_triggers, run

SYSTEM = Actor.system("test")
EDITS = by_day(150, 1000)


def proved(world: World) -> ChainReport:
    return world.app.queries.verify_audit(SYSTEM)


# ---- the key -----------------------------------------------------------------------------------


def test_the_key_is_made_at_the_first_start_for_its_owner_only(postroom: Postroom) -> None:
    path = postroom.settings.chain_key_file
    assert path.parent == postroom.settings.key_file.parent
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_text() != postroom.settings.key_file.read_text()


def lived(tmp_path: Path, volume: Path) -> Settings:
    """A database of an installation that was used, and closed."""
    settings = Settings(data_dir=tmp_path / "lived")
    app = open_postroom(settings)
    make_world(app, volume).add("anna@example.com")
    app.close()
    return settings


def verified(settings: Settings) -> ChainReport:
    app = open_postroom(settings)
    try:
        return app.queries.verify_audit(SYSTEM)
    finally:
        app.close()


def test_without_the_key_it_does_not_start_and_says_why(tmp_path: Path, volume: Path) -> None:
    settings = lived(tmp_path, volume)
    settings.chain_key_file.unlink()
    with pytest.raises(ProvisionError, match=r"log\.key is gone.*key new"):
        open_postroom(settings)


def test_a_new_key_in_place_of_a_lost_one_goes_on_but_proves_nothing_older(tmp_path: Path, volume: Path) -> None:
    settings = lived(tmp_path, volume)
    settings.chain_key_file.unlink()
    assert make_new(settings.key_file, settings.chain_key_file) == [settings.chain_key_file]
    report = verified(settings)
    assert report.broken_at == 1
    assert "another key" in str(report.reason)


def test_a_backup_brings_the_key(tmp_path: Path, volume: Path) -> None:
    settings, there = lived(tmp_path, volume), Settings(data_dir=tmp_path / "there")
    write_backup(settings, tmp_path / "backup")
    restore_backup(there, tmp_path / "backup", SYSTEM)
    assert verified(there).intact
    assert settings.chain_key_file.read_text().strip() in there.chain_key_file.read_text().split()


def test_a_backup_is_restored_with_its_checkpoints(tmp_path: Path, volume: Path) -> None:
    settings, there = lived(tmp_path, volume), Settings(data_dir=tmp_path / "there")
    app = open_postroom(settings)
    archive_log(app.database, tmp_path / "archive", utc_now(), SYSTEM)
    app.close()
    write_backup(settings, tmp_path / "backup")
    restore_backup(there, tmp_path / "backup", SYSTEM)
    assert verified(there).intact


# ---- the database refuses more than before -------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "change",
    ["payload = '{}'", "domain = 'x.io'", "generation = 9", "operator_id = 9", "server_id = 9", "id = 99", "ip = NULL"],
)
def test_nothing_of_what_was_wanted_is_changed_while_it_is_pending(world: World, change: str) -> None:
    world.volume.rename(world.volume.with_name("away"))
    world.add("anna@example.com")
    with pytest.raises(DBAPIError, match="never changed"):
        run(world.app.database, f"UPDATE provision_log SET {change} WHERE status = 'PENDING'")


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("table", "change"),
    [("provision_log", "status = 'UNKNOWN'"), ("provision_log", "status = 'success'"), ("audit_link", "phase = 'x'")],
)
def test_the_database_takes_no_unknown_word(world: World, table: str, change: str) -> None:
    world.add("anna@example.com")
    drop_triggers(world.app.database)
    with pytest.raises(DBAPIError, match="ck_"):
        run(world.app.database, f"UPDATE {table} SET {change}")


@pytest.mark.parametrize("table", ["provision_log", "audit_link"])
def test_nothing_is_replaced_by_an_insert(world: World, table: str) -> None:
    if not world.app.database.is_sqlite:
        pytest.skip("PostgreSQL has no INSERT OR REPLACE.")
    world.add("anna@example.com")
    with pytest.raises(DBAPIError, match="never replaced"):
        run(world.app.database, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")
    assert proved(world).intact


# ---- what is behind its back all the same is found -----------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("change", ["stdout = 'x'", "error = 'x'", "exit_code = 0", "duration_ms = 1", "command = ''"])
def test_a_change_of_what_is_not_over_yet_is_found(world: World, change: str) -> None:
    world.volume.rename(world.volume.with_name("away"))
    world.add("anna@example.com")
    assert proved(world).intact
    run(world.app.database, f"UPDATE provision_log SET {change} WHERE status = 'PENDING'")
    assert "not over yet" in str(proved(world).reason)


def unchecked(world: World, *statements: str) -> None:
    """As somebody who switches the checks off, too."""
    drop_triggers(world.app.database)
    with world.app.database.engine.begin() as connection:
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        for statement in statements:
            connection.execute(text(statement))
        connection.execute(text("PRAGMA ignore_check_constraints = OFF"))


@pytest.fixture
def on_sqlite(world: World) -> World:
    if not world.app.database.is_sqlite:
        pytest.skip("PostgreSQL's columns take no such value.")
    world.add("anna@example.com")
    world.add("ben@example.com")
    return world


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("provision_log", "started_at = 'yesterday'"),
        ("provision_log", "completed_at = 7"),
        ("provision_log", "payload = '{'"),
        ("provision_log", "operator = x'ff'"),
        ("audit_link", "at = 'noon'"),
        ("audit_link", "log_uid = 'x'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_link(on_sqlite: World, table: str, change: str) -> None:
    where = "id = 4" if table == "provision_log" else "seq = 8"
    with on_sqlite.app.database.engine.connect() as connection:
        column = "uid" if table == "provision_log" else "log_uid"
        uid = connection.scalar(text(f"SELECT {column} FROM {table} WHERE {where}"))
        links = set(connection.scalars(text("SELECT seq FROM audit_link WHERE log_uid = :uid"), {"uid": uid}))
    unchecked(on_sqlite, f"UPDATE {table} SET {change} WHERE {where}")
    report = proved(on_sqlite)
    assert report.broken_at in links
    assert report.reason


def test_a_row_of_an_unknown_status_is_found_and_breaks_no_list(on_sqlite: World) -> None:
    columns = "operator, operation, resource_type, payload, started_at"
    made = f"SELECT '{uuid4().hex}', 'ODD', {columns} FROM provision_log WHERE id = 3"
    unchecked(on_sqlite, f"INSERT INTO provision_log (uid, status, {columns}) {made}")
    assert "no intent link" in str(proved(on_sqlite).reason)
    row = on_sqlite.app.queries.logs(SYSTEM).rows[0]
    assert LogRecord(**log_record(row)).status == "ODD"
    assert {day["status"] for day in on_sqlite.app.queries.operations_per_day(SYSTEM)} == {"SUCCESS"}


# ---- a thousand edits ----------------------------------------------------------------------------

TABLES = {
    "provision_log": "id uid operator_id operator ip operation resource_type resource_id resource_name domain "
    "server_id generation payload status command exit_code stdout stderr error started_at completed_at duration_ms",
    "audit_link": "seq at phase log_uid digest hash",
    "audit_checkpoint": "seq hash at file",
}
Edit = Callable[[sqlite3.Connection, random.Random], str]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A folder of an installation with finished, failed, tried and waiting operations, and two moves to files."""
    folder = tmp_path_factory.mktemp("edited")
    volume = folder / "config"
    volume.mkdir()
    app = open_postroom(Settings(data_dir=folder / "data"))
    world = make_world(app, volume)
    for number in range(4):
        world.add(f"u{number}@example.com")
        if number < 2:
            archive_log(app.database, folder / "archive", utc_now(), SYSTEM)
    world.write("rejected@example.com|x\n" + world.text())
    world.add("rejected@example.com")  # an account of somebody else: FAILED
    volume.rename(folder / "away")
    for number in range(3):
        world.add(f"waits{number}@example.com")
    with app.database.write() as session:
        waiting = session.query(ProvisionLog).filter(ProvisionLog.status == LogStatus.PENDING).first()
        assert waiting is not None
        chain.record_attempts(session, {waiting.uid: "It was refused."})
    assert app.queries.verify_audit(SYSTEM).intact
    app.close()
    return folder / "data"


def another(value: Any, dice: random.Random) -> Any:
    """Something else than the value; often of its kind, sometimes nothing or nonsense."""
    choices = [None, "", "x", b"\xff\x00", 7, -1, 2.5, "2020-01-01 00:00:00.000000", "PENDING", "SUCCESS", "{}", "null"]
    if isinstance(value, int):
        choices += [value + 1, value + 1000]
    if isinstance(value, str) and value:
        place = dice.randrange(len(value))
        choices += [value[:place] + chr(dice.randrange(33, 126)) + value[place + 1 :], value + " ", value[:-1]] * 3
    return dice.choice([choice for choice in choices if not reads_the_same(choice, value)])


def reads_the_same(one: Any, other: Any) -> bool:
    """JSON with another blank, a time with a further 0."""
    for read in (json.loads, datetime.fromisoformat):
        with suppress(ValueError, TypeError):
            return bool(read(one) == read(other))
    return bool(one == other)


def changes_a_value(connection: sqlite3.Connection, dice: random.Random) -> str:
    table = dice.choice(list(TABLES))
    column = dice.choice(TABLES[table].split())
    rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    rowid, value = dice.choice(rows)
    made = another(value, dice)
    connection.execute(f"UPDATE OR REPLACE {table} SET {column} = ? WHERE rowid = ?", (made, rowid))
    return f"{table}.{column} of {rowid}: {value!r} to {made!r}"


def swaps_two(connection: sqlite3.Connection, dice: random.Random) -> str:
    table = dice.choice(["provision_log", "audit_link"])
    column = dice.choice(TABLES[table].split()[1:])
    rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    (first, one), (second, other) = dice.sample(rows, 2)
    for rowid, value in ((first, None), (second, one), (first, other)):
        if rowid == first and value is None:
            value = f"x{rowid}"
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, rowid))
    return f"{table}.{column} of {first} and {second}: {one!r} and {other!r} change places"


def removes_a_row(connection: sqlite3.Connection, dice: random.Random) -> str:
    table = dice.choice(list(TABLES))
    rowid = dice.choice(connection.execute(f"SELECT rowid FROM {table}").fetchall())[0]
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
    return f"{table} {rowid} removed"


def adds_a_row(connection: sqlite3.Connection, dice: random.Random) -> str:
    """A copy under another number."""
    table = dice.choice(list(TABLES))
    names = TABLES[table].split()
    row = list(dice.choice(connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()))
    row[0] = dice.choice([None, -5, 0, 100_000]) if table == "provision_log" else dice.choice([-5, 0, 100_000])
    if table == "provision_log":
        row[1] = uuid4().hex
    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return f"{table} has a further row {row}"


EDITORS: list[Edit] = [changes_a_value, changes_a_value, changes_a_value, swaps_two, removes_a_row, adds_a_row]


@pytest.fixture(scope="module")
def edited(original: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    folder = tmp_path_factory.mktemp("edits")
    for key in original.glob("*.key"):
        shutil.copy(key, folder)
    return original / "postroom.db", Settings(data_dir=folder)


def test_every_edit_of_the_database_file_is_found(edited: tuple[Path, Settings]) -> None:
    original, settings = edited
    dice, missed = random.Random(20261125), []
    for _ in range(EDITS):
        target = settings.data_dir / "postroom.db"
        for file in settings.data_dir.glob("postroom.db*"):
            file.unlink()
        shutil.copy(original, target)
        what = edit(target, dice)
        if what and found_intact(settings):
            missed.append(what)
    assert not missed, "\n".join(missed)


def edit(path: Path, dice: random.Random) -> str | None:
    """One edit, if the table takes it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        before = list(connection.iterdump())
        try:
            what = dice.choice(EDITORS)(connection, dice)
        except sqlite3.IntegrityError:
            return None
        return what if list(connection.iterdump()) != before else None


def found_intact(settings: Settings) -> bool:
    app = open_postroom(settings, migrate=False)
    try:
        return app.queries.verify_audit(SYSTEM).intact
    finally:
        app.close()
