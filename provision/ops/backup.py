"""Backup and restore: one compressed file, the same for SQLite and PostgreSQL, so it also moves from one to the other.

Lines of JSON: what it is, then for each table its columns and its rows, then an end without which it is not whole.
Sign-ins and kept answers of the API are left out: an old backup must not bring back what was ended since.
"""

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    MetaData,
    Table,
    Uuid,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.orm import Session

from provision.audit import chain
from provision.audit.events import Operation
from provision.core.access import Actor
from provision.core.errors import Conflict, InvalidInput
from provision.core.texts import N_
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.encryption import Sealer, add_old_keys, chain_keys
from provision.storage.half_written import half_written
from provision.storage.models import (
    AdminSession,
    Alias,
    AuditLink,
    Base,
    Mailbox,
    Operator,
    ProvisionLog,
    Server,
    SignInGuard,
    UtcDateTime,
    utc_now,
)

FORMAT = 1
LEFT_OUT = {model.__tablename__ for model in (AdminSession, SignInGuard)}
TABLES = [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
CHUNK = 2_000
APPEND_ONLY = {ProvisionLog.__tablename__, AuditLink.__tablename__}
NOT_WHOLE = N_("The backup is not whole: it was cut off or changed. Nothing was restored.")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds. `held`: changes that had not arrived when it was made, after a restore."""

    made_at: datetime
    revision: str
    rows: dict[str, int]
    held: int = 0


# ---- writing -------------------------------------------------------------------------------


def write_backup(settings: Settings, target: Path) -> Contents:
    """Everything at one moment, with the key; readable by its owner only. Other processes go on meanwhile.

    Raises: DatabaseUnavailable, OSError.
    """
    with closing(Database(settings.url)) as database, half_written(settings.data_dir, target) as (name, handle):
        revision, made_at = database.revision() or "", utc_now()
        try:
            with os.fdopen(handle, "wb") as raw, database.snapshot() as connection:
                with gzip.open(raw, "wt", compresslevel=5, encoding="utf-8") as file:
                    head = {"postroom": FORMAT, "made_at": made_at.isoformat(), "revision": revision}
                    _write(file, {**head, "keys": settings.key_file.read_text().split(), **_log_keys(settings)})
                    present = set(inspect(connection).get_table_names())
                    rows = {t.name: _write_table(file, connection, t.name) for t in TABLES if t.name in present}
                    _write(file, {"end": rows})
                os.fsync(raw.fileno())
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return Contents(made_at, revision, rows)


def _log_keys(settings: Settings) -> dict[str, list[str]]:
    """None yet where no release with one was started here."""
    path = settings.chain_key_file
    return {"log_keys": path.read_text().split()} if path.exists() else {}


def _write_table(file: IO[str], connection: Connection, name: str) -> int:
    table = _as_it_is(connection, name)
    _write(file, {"table": name, "columns": [column.name for column in table.columns]})
    count = 0
    for row in connection.execution_options(yield_per=CHUNK).execute(select(table)):
        _write(file, [_plain(value) for value in row])
        count += 1
    return count


def _as_it_is(connection: Connection, name: str) -> Table:
    """In the form it has in this database: a backup is also made, and restored, in that of an earlier release.

    Without what is computed, and without our defaults, which may be of columns that are not there yet.
    """
    ours = Base.metadata.tables[name].columns
    there = {c["name"]: c["type"] for c in inspect(connection).get_columns(name) if "computed" not in c}
    kinds = {c: UtcDateTime() if isinstance(kind, DateTime) else kind for c, kind in there.items()}
    return Table(name, MetaData(), *(Column(c, ours[c].type if c in ours else kind) for c, kind in kinds.items()))


def _write(file: IO[str], value: Any) -> None:
    file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


# ---- restoring -----------------------------------------------------------------------------


def restore_backup(settings: Settings, source: Path, actor: Actor) -> Contents:
    """Fill an empty database and bring it to this release's form. All or nothing.

    Nothing is sent by itself afterwards: what had not arrived is FAILED until a person retries it.
    Raises: Conflict for a database in use, InvalidInput for a file that is no backup of this or an earlier release.
    """
    lines = _lines(source)
    head = _head(next(lines, None))
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(Database(settings.url)) as database:
        _refuse_used(database)
        database.migrate(head["revision"])
        Sealer.from_file(settings.key_file)
        add_old_keys(settings.key_file, head["keys"])
        database.chain_keys = chain_keys(settings.chain_key_file)
        add_old_keys(settings.chain_key_file, head.get("log_keys", []))
        with database.write() as session:
            rows = _fill(session, lines)
            made_at = datetime.fromisoformat(head["made_at"])
            held = _hold(session, made_at)
        database.migrate()
        chain.open_keys(settings.chain_key_file, database)
        with database.write() as session:
            payload = {"made_at": made_at.isoformat(), "held": held}
            chain.record_done(session, actor, Operation.DATABASE_RESTORE, [chain.Subject("database")], payload)
    return Contents(made_at, head["revision"], rows, held)


def _lines(source: Path) -> Iterator[Any]:
    """Raises: InvalidInput for a file that is damaged."""
    try:
        with gzip.open(source, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (gzip.BadGzipFile, EOFError, ValueError):
        raise InvalidInput(NOT_WHOLE, code="BAD_BACKUP") from None


def _head(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "postroom" not in value:
        raise InvalidInput("This is no backup of Postroom.", code="BAD_BACKUP")
    if value["postroom"] > FORMAT or value["revision"] > Database.newest_revision():
        raise InvalidInput("This backup was made by a newer release; restore it with that one.", code="BAD_BACKUP")
    return value


def _refuse_used(database: Database) -> None:
    if database.revision() is None:
        return
    with database.read() as session:
        known = set(inspect(session.connection()).get_table_names())
        tables = [t for t in (Server, Operator, ProvisionLog) if t.__tablename__ in known]
        used = any(session.scalar(select(table.id).limit(1)) for table in tables)
    if used:
        name = database.url.render_as_string(hide_password=True)
        raise Conflict(
            f"The database {name} is in use. Restore into an empty one: stop Postroom, move the file away or set "
            "POSTROOM_DATABASE_URL to a new database, and try again.",
            code="DATABASE_IN_USE",
        )


def _fill(session: Session, lines: Iterator[Any]) -> dict[str, int]:
    """Raises: InvalidInput for lines that do not fit; the transaction is then given up."""
    connection = session.connection()
    present = set(inspect(connection).get_table_names())
    for table in reversed(TABLES):
        if table.name in present and table.name not in APPEND_ONLY:
            connection.execute(delete(table))  # what migrations put there
    rows = dict.fromkeys((table.name for table in TABLES), 0)
    try:
        for name, chunk in _chunks(lines):
            rows[name] += _insert(connection, _as_it_is(connection, name), chunk)
    except (KeyError, ValueError, TypeError):
        raise InvalidInput(NOT_WHOLE, code="BAD_BACKUP") from None
    return rows


def _chunks(lines: Iterator[Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of one table, CHUNK at most at a time. Raises: ValueError where the end is missing."""
    name, columns, rows = "", list[str](), list[dict[str, Any]]()
    for line in lines:
        if isinstance(line, list):
            rows.append(dict(zip(columns, line, strict=True)))
        if rows and (len(rows) == CHUNK or isinstance(line, dict)):
            yield name, rows
            rows = []
        if isinstance(line, dict) and "end" in line:
            return
        if isinstance(line, dict):
            name, columns = line["table"], line["columns"]
    raise ValueError("no end")


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    for name in rows[0]:
        convert = _reader(table.columns[name].type)
        if convert:
            for row in rows:
                row[name] = None if row[name] is None else convert(row[name])
    connection.execute(insert(table), rows)
    if connection.dialect.name == "postgresql" and "id" in rows[0]:
        highest = select(func.max(table.c.id)).scalar_subquery()
        connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), highest)))
    return len(rows)


def _reader(kind: Any) -> Any:
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat
    return UUID if isinstance(kind, Uuid) else None


def _hold(session: Session, made_at: datetime) -> int:
    """Give up for now what had not arrived when the backup was made: since then it may have, or been changed again.

    In the transaction that restores: killed right after it, nothing may be sent either.
    """
    error = N_(
        f"Not sent: the database was restored from a backup of {made_at:%Y-%m-%d %H:%M} UTC. See on the Sync page "
        "what the mail server has, then retry this or let the server win."
    )
    held = 0
    for table in (Mailbox, Alias):
        waits = table.synced_generation != table.generation
        values = {"failed_generation": table.generation, "error": error, "error_code": "RESTORED"}
        held += session.execute(update(table).where(waits).values(**values)).rowcount  # type: ignore[attr-defined]
        session.execute(update(table).where(table.confirming).values(confirming=False))
    # A password that had arrived then must not go out with the next change, over one that was set since.
    arrived = Mailbox.synced_generation == Mailbox.generation
    session.execute(update(Mailbox).where(arrived).values(sealed_password=None))
    return held
