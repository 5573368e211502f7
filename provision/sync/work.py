"""The wanted side of a server, read from the database; and how far each row has come, written back.

For pushes and comparisons (`provision.sync`, `provision.sync.recording`), and what is due for the jobs. Everything is
set-based: a push of 10,000 rows is a handful of statements.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, bindparam, delete, func, or_, select, true, update
from sqlalchemy.orm import Session

from provision.core.errors import ProvisionError
from provision.core.secret import Secret
from provision.core.state import DesiredState, Key, LiveReport, Resource, WantedAlias, WantedMailbox, Wish
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import TABLES, Alias, LogStatus, Mailbox, ProvisionLog, Status, SyncStatus, utc_now

CHUNK = 5_000  # ids per statement: SQLite takes 32,766 parameters, PostgreSQL 65,535
CONFIRM_AFTER = timedelta(seconds=3)  # a concurrent `setup` has overwritten our line by then, or never will
LONGEST_PAUSE = timedelta(days=1)  # that can be set between two tries
CONFIRM_WITHIN = timedelta(seconds=60)  # later than this a difference is a person's wish, not a lost write

OWN_COLUMNS: dict[type[Mailbox] | type[Alias], tuple[str, ...]] = {
    Mailbox: ("status", "quota_bytes", "quota_messages", "sealed_password", "erase_mail"),
    Alias: ("destinations",),
}
MARKS = ("failed_generation", "synced_generation")


class Item(NamedTuple):
    """One due row as it was read: what is recorded afterwards speaks of this generation."""

    key: Key
    id: int
    uid: UUID
    generation: int
    attempts: int
    removing: bool
    confirming: bool  # delivered before; looked at once more, because another writer may have lost it
    last_synced_at: datetime | None


class FailedAttempt(NamedTuple):
    """One try that failed; without `retry_at` it is given up until a person retries."""

    item: Item
    error: str
    code: str
    attempts: int
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Work:
    """What a push has to look at: the due rows, and the addresses of all others that should be there."""

    items: dict[Key, Item]
    desired: DesiredState
    others: dict[Resource, list[str]]
    unreadable: list[Key]  # their waiting password cannot be unsealed


def has_come(moment: Any, now: datetime) -> ColumnElement[bool]:
    """Whether it is time. What lies further ahead than any pause was set while the clock was wrong."""
    return or_(moment.is_(None), moment <= now, moment > now + LONGEST_PAUSE)


def _due(table: type[Mailbox] | type[Alias], now: datetime, ignore_backoff: bool) -> ColumnElement[bool]:
    return or_(_pending(table, now, ignore_backoff), _unconfirmed(table))


def _pending(table: type[Mailbox] | type[Alias], now: datetime, ignore_backoff: bool) -> ColumnElement[bool]:
    come = true() if ignore_backoff else has_come(table.next_attempt_at, now)
    return and_(table.sync_status == SyncStatus.PENDING, come)


def _unconfirmed(table: type[Mailbox] | type[Alias]) -> ColumnElement[bool]:
    return and_(table.sync_status == SyncStatus.SYNCED, table.confirming.is_(True))  # as an index has them


def has_pending(session: Session, server_id: int, now: datetime, *, ignore_backoff: bool = False) -> bool:
    """Whether something is due that is not delivered yet. `ignore_backoff`: or waits for its next try."""
    return any(_has(session, table, server_id, _pending(table, now, ignore_backoff)) for table in TABLES.values())


def has_unconfirmed(session: Session, server_id: int, before: datetime | None = None) -> bool:
    """Whether something that was delivered, `before` then, has to be looked at once more."""
    return any(
        _has(
            session,
            table,
            server_id,
            _unconfirmed(table),
            has_come(table.last_synced_at, before) if before else true(),
        )
        for table in TABLES.values()
    )


def has_work(session: Session, server_id: int, now: datetime) -> bool:
    """Whether a push would find something to deliver, or to confirm."""
    return has_pending(session, server_id, now) or has_unconfirmed(session, server_id, now - CONFIRM_AFTER)


def _has(
    session: Session, table: type[Mailbox] | type[Alias], server_id: int, *conditions: ColumnElement[bool]
) -> bool:
    found = select(table.id).where(table.server_id == server_id, *conditions).limit(1)
    return session.scalar(found) is not None


def load_work(session: Session, sealer: Sealer, server_id: int, now: datetime, ignore_backoff: bool) -> Work:
    """The due rows of a server in full."""
    items: dict[Key, Item] = {}
    mailboxes: dict[str, WantedMailbox] = {}
    aliases: dict[str, WantedAlias] = {}
    unreadable: list[Key] = []
    for row in session.execute(_columns(Mailbox, server_id).where(_due(Mailbox, now, ignore_backoff))):
        item = _item(Resource.MAILBOX, row)
        items[item.key] = item
        password = _readable(sealer, row.sealed_password) if row.sealed_password else None
        if row.sealed_password and password is None:
            unreadable.append(item.key)
            continue
        mailboxes[row.address] = WantedMailbox(
            _wish(row.removing, row.status),
            row.quota_bytes,
            row.status == Status.ACTIVE,
            row.quota_messages,
            password,
            row.owned,
            True,
            row.erase_mail,
        )
    for row in session.execute(_columns(Alias, server_id).where(_due(Alias, now, ignore_backoff))):
        item = _item(Resource.ALIAS, row)
        items[item.key] = item
        aliases[row.address] = WantedAlias(_wish(row.removing), tuple(row.destinations), row.owned, due=True)
    others = _other_addresses(session, server_id, items) if items else {}
    return Work(items, DesiredState(mailboxes, aliases), others, unreadable)


def load_whole(session: Session, sealer: Sealer, server_id: int, now: datetime) -> DesiredState:
    """Every row of a server, for a preview or a pull; what a person gave up on (FAILED) is not due."""
    mailboxes = {}
    for row in _stream(session, Mailbox, server_id):
        address, removing, owned, sync_status, generation, status, *quotas, sealed, erase_mail = row
        is_due = sync_status == SyncStatus.PENDING
        password = _readable(sealer, sealed) if is_due and sealed else None
        mailboxes[address] = WantedMailbox(
            _wish(removing, status),
            quotas[0],
            status == Status.ACTIVE,
            quotas[1],
            password,
            owned,
            is_due,
            erase_mail,
            generation,
        )
    aliases = {}
    for address, removing, owned, sync_status, generation, destinations in _stream(session, Alias, server_id):
        is_due = sync_status == SyncStatus.PENDING
        aliases[address] = WantedAlias(_wish(removing), tuple(destinations), owned, is_due, generation)
    return DesiredState(mailboxes, aliases)


def _stream(session: Session, table: type[Mailbox] | type[Alias], server_id: int) -> Any:
    """Plain tuples of the columns a comparison needs: 100,000 rows of the full kind would take seconds."""
    columns = table.__table__.c
    names = ("address", "removing", "claimed", "sync_status", "generation", *OWN_COLUMNS[table])
    statement = select(*(columns[name] for name in names)).where(columns.server_id == server_id)
    return session.connection().execute(statement, execution_options={"yield_per": 10_000})


def _wish(removing: bool, status: str = Status.ACTIVE) -> Wish:
    if removing:
        return Wish.ABSENT
    return Wish.IGNORED if status == Status.DELETED else Wish.PRESENT


def _readable(sealer: Sealer, sealed: str) -> Secret | None:
    try:
        return sealer.unseal(sealed)
    except ProvisionError:  # a key that is gone concerns this row, not the comparison
        return None


def _columns(table: type[Mailbox] | type[Alias], server_id: int) -> Any:
    common = (
        table.id,
        table.uid,
        table.address,
        table.generation,
        table.attempts,
        table.removing,
        table.confirming,
        table.owned,
        table.sync_status,
        table.last_synced_at,
    )
    own = (getattr(table, name) for name in OWN_COLUMNS[table])
    return select(*common, *own).where(table.server_id == server_id)


def item_of(row: Mailbox | Alias) -> Item:
    return _item(Resource.MAILBOX if isinstance(row, Mailbox) else Resource.ALIAS, row)


def _item(resource: Resource, row: Any) -> Item:
    confirming = row.confirming and row.sync_status == SyncStatus.SYNCED
    key = Key(resource, row.address)
    return Item(key, row.id, row.uid, row.generation, row.attempts, row.removing, confirming, row.last_synced_at)


def _other_addresses(session: Session, server_id: int, items: dict[Key, Item]) -> dict[Resource, list[str]]:
    """Entries that should be on the server already: a server that lost many of them is not written to."""
    others = {}
    for resource, table in TABLES.items():
        kept = Mailbox.status != Status.DELETED if table is Mailbox else true()
        statement = select(table.address).where(
            table.server_id == server_id, table.owned.is_(True), table.removing.is_(False), kept
        )
        looked_at = {key.address for key in items if key.resource is resource}
        others[resource] = [a for a in session.scalars(statement) if a not in looked_at]
    return others


# ---- writing back --------------------------------------------------------------------------


def end_stale_confirmations(database: Database, server_id: int, now: datetime) -> None:
    """Forget passwords that were delivered a while ago without having been looked at again."""
    for table in TABLES.values():
        stale = and_(_unconfirmed(table), table.last_synced_at < now - CONFIRM_WITHIN)
        with database.read() as session:
            if not _has(session, table, server_id, stale):
                continue
        with database.write() as session:
            session.execute(update(table).where(table.server_id == server_id, stale).values(_confirmed(table)))


def _confirmed(table: type[Mailbox] | type[Alias]) -> dict[str, Any]:
    """The password has arrived, and is not needed any longer."""
    return {"confirming": False, "sealed_password": None} if table is Mailbox else {"confirming": False}


def mark_delivered(session: Session, items: Iterable[Item], now: datetime) -> None:
    """These generations are on the server; they are looked at once more before the password is forgotten."""
    for table, generation, removing, ids in _groups(items):
        if removing:
            session.execute(delete(table).where(table.id.in_(ids), table.generation == generation))
            continue
        session.execute(
            update(table)
            .where(table.id.in_(ids), table.synced_generation <= generation)
            .values(synced_generation=generation, owned=True, last_synced_at=now, confirming=True)
        )
        session.execute(
            update(table)
            .where(table.id.in_(ids), table.generation == generation)
            .values(attempts=0, next_attempt_at=None, error=None, error_code=None)
        )


def mark_confirmed(session: Session, items: Iterable[Item]) -> None:
    """Looked at once more and still there: the waiting password is not needed any longer."""
    for table, generation, _, ids in _groups(items):
        session.execute(
            update(table).where(table.id.in_(ids), table.generation == generation).values(_confirmed(table))
        )


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


def _groups(items: Iterable[Item]) -> Iterator[tuple[type[Mailbox] | type[Alias], int, bool, Sequence[int]]]:
    groups: dict[tuple[Resource, int, bool], list[int]] = {}
    for item in items:
        groups.setdefault((item.key.resource, item.generation, item.removing), []).append(item.id)
    for (resource, generation, removing), ids in groups.items():
        for start in range(0, len(ids), CHUNK):
            yield TABLES[resource], generation, removing, ids[start : start + CHUNK]


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
