"""How far each row has come: what was delivered, confirmed or failed is written back."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, and_, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from provision.core.state import LiveReport, Resource
from provision.storage.database import Database
from provision.storage.models import TABLES, Alias, LogStatus, Mailbox, ProvisionLog, utc_now
from provision.sync.work import Item, has_row, unconfirmed

CHUNK = 5_000  # ids per statement: SQLite takes 32,766 parameters, PostgreSQL 65,535
CONFIRM_WITHIN = timedelta(seconds=60)  # later than this a difference is a person's wish, not a lost write
MARKS = ("failed_generation", "synced_generation")


class FailedAttempt(NamedTuple):
    """One try that failed; without `retry_at` it is given up until a person retries."""

    item: Item
    error: str
    code: str
    attempts: int
    retry_at: datetime | None


def end_stale_confirmations(database: Database, server_id: int, now: datetime) -> None:
    """Forget passwords that were delivered a while ago without having been looked at again."""
    for table in TABLES.values():
        stale = and_(unconfirmed(table), table.last_synced_at < now - CONFIRM_WITHIN)
        with database.read() as session:
            if not has_row(session, table, server_id, stale):
                continue
        with database.write() as session:
            session.execute(update(table).where(table.server_id == server_id, stale).values(_confirmed(table)))


def _confirmed(table: type[Mailbox] | type[Alias]) -> dict[str, Any]:
    """The password has arrived, and is not needed any longer."""
    return {"confirming": False, "sealed_password": None} if table is Mailbox else {"confirming": False}


def mark_delivered(session: Session, items: Iterable[Item], now: datetime) -> None:
    """These generations are on the server; they are looked at once more before the password is forgotten."""
    for table, like, ids in _groups(items):
        generation, ours = like.generation, {} if like.unmade else {"owned": True, "confirming": True}
        if like.removing:
            session.execute(delete(table).where(table.id.in_(ids), table.generation == generation))
            continue
        session.execute(
            update(table)
            .where(table.id.in_(ids), table.synced_generation <= generation)
            .values(synced_generation=generation, last_synced_at=now, **ours)
        )
        session.execute(
            update(table)
            .where(table.id.in_(ids), table.generation == generation)
            .values(attempts=0, next_attempt_at=None, error=None, error_code=None)
        )


def mark_owned(session: Session, items: Iterable[Item]) -> None:
    """The account there was made by us, whatever else is still to come."""
    for table, like, ids in _groups(items):
        if not like.removing:
            session.execute(update(table).where(table.id.in_(ids), table.owned.is_(False)).values(owned=True))


def mark_confirmed(session: Session, items: Iterable[Item]) -> None:
    """Looked at once more and still there: the waiting password is not needed any longer."""
    for table, like, ids in _groups(items):
        if not like.unmade:
            these = table.id.in_(ids), table.generation == like.generation
            session.execute(update(table).where(*these).values(_confirmed(table)))


def mark_failed(session: Session, failures: Sequence[FailedAttempt]) -> None:
    """One try of each failed. What was delivered and is to be sent once more is no longer SYNCED: it is not there."""
    for resource, table in TABLES.items():
        rows = [_failed(failure) for failure in failures if failure.item.key.resource is resource]
        column = table.__table__.c
        this_generation = (column.id == bindparam("row_id"), column.generation == bindparam("row_generation"))
        values: dict[str, Any] = {
            name: bindparam(name) for name in ("error", "error_code", "attempts", "next_attempt_at")
        }
        marks = {name: func.coalesce(bindparam(f"new_{name}", type_=Integer), column[name]) for name in MARKS}
        statement = update(table.__table__).where(*this_generation).values(**values, **marks, confirming=False)  # type: ignore[arg-type]
        if rows:
            session.connection().execute(statement, rows)


def _failed(failure: FailedAttempt) -> dict[str, Any]:
    item = failure.item
    return {
        "row_id": item.id,
        "row_generation": item.generation,
        "error": failure.error,
        "error_code": failure.code,
        "attempts": failure.attempts,
        "next_attempt_at": failure.retry_at,
        "new_failed_generation": None if failure.retry_at else item.generation,
        "new_synced_generation": item.generation - 1 if item.confirming else None,
    }


def _groups(items: Iterable[Item]) -> Iterator[tuple[type[Mailbox] | type[Alias], Item, Sequence[int]]]:
    """Those with the same generation, removed or not: the table, one of them, and the ids of all."""
    groups: dict[tuple[Resource, int, bool, bool], list[Item]] = {}
    for item in items:
        groups.setdefault((item.key.resource, item.generation, item.removing, item.unmade), []).append(item)
    for (resource, *_), alike in groups.items():
        ids = [item.id for item in alike]
        for start in range(0, len(ids), CHUNK):
            yield TABLES[resource], alike[0], ids[start : start + CHUNK]


def pending_logs(session: Session, items: Iterable[Item]) -> Iterator[tuple[Item, UUID]]:
    """The unfinished log rows that speak of these generations or earlier ones, which they replace."""
    by_uid = {str(item.uid): item for item in items}
    uids = list(by_uid)
    for start in range(0, len(uids), CHUNK):
        statement = select(ProvisionLog.uid, ProvisionLog.resource_id, ProvisionLog.generation).where(
            ProvisionLog.status == LogStatus.PENDING,
            ProvisionLog.resource_type.in_(list(Resource)),
            ProvisionLog.resource_id.in_(uids[start : start + CHUNK]),
        )
        for row in session.execute(statement):
            item = by_uid[row.resource_id]
            if row.generation is None or row.generation <= item.generation:
                yield item, row.uid


def note_usage(session: Session, server_id: int, report: LiveReport) -> dict[str, Any]:
    """Write what each mailbox uses, where it changed; return the rest of the report for the server's row."""
    known = session.execute(
        select(Mailbox.id, Mailbox.address, Mailbox.used_bytes, Mailbox.used_messages).where(
            Mailbox.server_id == server_id
        )
    )
    changed = []
    for row in known:
        usage = report.usage.get(row.address)
        if usage and (usage.used_bytes, usage.messages) != (row.used_bytes, row.used_messages):
            changed.append(
                {"id": row.id, "used_bytes": usage.used_bytes, "used_messages": usage.messages, "used_at": utc_now()}
            )
    if changed:
        session.execute(update(Mailbox), changed)
    return {
        "version": report.version,
        "in_effect_since": report.in_effect_since,
        "queue_length": report.queue_length,
        "disk_free_bytes": report.disk_free_bytes,
        "problems": list(report.problems),
    }
