"""The wanted side of a server, read from the database.

For pushes and comparisons (`provision.sync.engine`), and what is due for the jobs. Everything is set-based: a push of
10,000 rows is a handful of statements.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, not_, or_, select, true
from sqlalchemy.orm import Session

from provision.core.errors import ProvisionError
from provision.core.secret import Secret
from provision.core.state import DesiredState, Key, Resource, WantedAlias, WantedMailbox, Wish
from provision.servers.kinds import KINDS
from provision.storage.encryption import Sealer
from provision.storage.models import TABLES, Alias, Mailbox, Server, Status, SyncStatus

LONGEST_SILENCE = timedelta(days=1)  # that a mail server may ask for
CLOCKS_DIFFER = timedelta(minutes=1)  # by less; what was done further ahead was done while the clock was wrong

OWN_COLUMNS: dict[type[Mailbox] | type[Alias], tuple[str, ...]] = {
    Mailbox: ("status", "login_open", "quota_bytes", "quota_messages", "sealed_password", "erase_mail"),
    Alias: ("destinations",),
}


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
    unmade: bool = False  # soft-deleted before it was known to have arrived: what is there is not known to be ours


@dataclass(frozen=True, slots=True)
class Work:
    """What a push has to look at: the due rows."""

    items: dict[Key, Item]
    desired: DesiredState
    unreadable: list[Key]  # their waiting password cannot be unsealed

    def accepted_before(self) -> set[Key]:
        """Delivered by an earlier push: where a password cannot be read back, that is its proof."""
        return {key for key, item in self.items.items() if item.confirming}


def has_come(moment: Any, now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Whether it is time. A time further ahead than the longest pause was written while the clock was wrong: it counts
    as reached."""
    return or_(moment.is_(None), moment <= now, moment > now + longest)


def may_be_tried(now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Of a mail server; one that has asked for silence may have to be left alone for longer."""
    asked = Server.silent_until == Server.next_attempt_at
    return or_(
        has_come(Server.next_attempt_at, now, LONGEST_SILENCE),
        and_(has_come(Server.next_attempt_at, now, longest), or_(Server.silent_until.is_(None), not_(asked))),
    )


def _due(table: type[Mailbox] | type[Alias], now: datetime, longest: timedelta | None) -> ColumnElement[bool]:
    return or_(_pending(table, now, longest), unconfirmed(table))


def _pending(table: type[Mailbox] | type[Alias], now: datetime, longest: timedelta | None) -> ColumnElement[bool]:
    """`longest` pause between two tries; None: whatever pause there is counts as over."""
    come = true() if longest is None else has_come(table.next_attempt_at, now, longest)
    return and_(table.sync_status == SyncStatus.PENDING, come)


def unconfirmed(table: type[Mailbox] | type[Alias]) -> ColumnElement[bool]:
    return and_(table.sync_status == SyncStatus.SYNCED, table.confirming.is_(True))  # as an index has them


def has_pending(session: Session, server_id: int, now: datetime, longest: timedelta | None) -> bool:
    """Whether something is due that is not delivered yet. `longest`: as for `_pending`."""
    return any(has_row(session, table, server_id, _pending(table, now, longest)) for table in TABLES.values())


def has_unconfirmed(session: Session, server_id: int, before: datetime | None = None) -> bool:
    """Whether something that was delivered, `before` then, has to be looked at once more."""
    return any(
        has_row(
            session,
            table,
            server_id,
            unconfirmed(table),
            has_come(table.last_synced_at, before, CLOCKS_DIFFER) if before else true(),
        )
        for table in TABLES.values()
    )


def has_work(session: Session, server_id: int, kind: str, now: datetime, longest: timedelta) -> bool:
    """Whether a push would find something to deliver, or to confirm."""
    return has_pending(session, server_id, now, longest) or has_unconfirmed(
        session, server_id, now - confirm_after(kind)
    )


def confirm_after(kind: str) -> timedelta:
    """After which another writer on such a server has overwritten what we wrote, or never will."""
    known = KINDS.get(kind)
    return timedelta(seconds=(known.traits.confirm_after_seconds or 0.0) if known else 0.0)


def has_row(
    session: Session, table: type[Mailbox] | type[Alias], server_id: int, *conditions: ColumnElement[bool]
) -> bool:
    found = select(table.id).where(table.server_id == server_id, *conditions).limit(1)
    return session.scalar(found) is not None


def load_work(session: Session, sealer: Sealer, server_id: int, now: datetime, longest: timedelta | None) -> Work:
    """The due rows of a server in full."""
    items: dict[Key, Item] = {}
    mailboxes: dict[str, WantedMailbox] = {}
    aliases: dict[str, WantedAlias] = {}
    unreadable: list[Key] = []
    for row in session.execute(_columns(Mailbox, server_id).where(_due(Mailbox, now, longest))):
        item = _item(Resource.MAILBOX, row)
        items[item.key] = item
        password = _readable(sealer, row.sealed_password) if row.sealed_password else None
        wish = _wish(row.removing, row.status, row.login_open)
        if row.sealed_password and password is None and wish is not Wish.CLOSED:
            unreadable.append(item.key)
            continue
        mailboxes[row.address] = WantedMailbox(
            wish,
            row.quota_bytes,
            row.status == Status.ACTIVE,
            row.quota_messages,
            password,
            row.owned,
            True,
            row.erase_mail,
            uid=None if row.owned else str(row.uid),
        )
    for row in session.execute(_columns(Alias, server_id).where(_due(Alias, now, longest))):
        item = _item(Resource.ALIAS, row)
        items[item.key] = item
        aliases[row.address] = WantedAlias(_wish(row.removing), tuple(row.destinations), row.owned, due=True)
    return Work(items, DesiredState(mailboxes, aliases), unreadable)


def load_whole(session: Session, sealer: Sealer, server_id: int, now: datetime) -> DesiredState:
    """Every row of a server, for a preview or a pull; what a person gave up on (FAILED) is not due."""
    mailboxes, uids = {}, _uids_not_owned(session, server_id)
    for row in _stream(session, Mailbox, server_id):
        address, removing, owned, sync_status, generation, status, login_open, *quotas, sealed, erase_mail = row
        is_due = sync_status == SyncStatus.PENDING
        password = _readable(sealer, sealed) if is_due and sealed else None
        mailboxes[address] = WantedMailbox(
            _wish(removing, status, login_open),
            quotas[0],
            status == Status.ACTIVE,
            quotas[1],
            password,
            owned,
            is_due,
            erase_mail,
            generation,
            uids.get(address),
        )
    aliases = {}
    for address, removing, owned, sync_status, generation, destinations in _stream(session, Alias, server_id):
        is_due = sync_status == SyncStatus.PENDING
        aliases[address] = WantedAlias(_wish(removing), tuple(destinations), owned, is_due, generation)
    return DesiredState(mailboxes, aliases)


def _uids_not_owned(session: Session, server_id: int) -> dict[str, str]:
    """Of the mailboxes whose account, if there is one, could carry their mark."""
    waiting = Mailbox.sync_status != SyncStatus.SYNCED, Mailbox.owned.is_(False)
    found = session.execute(select(Mailbox.address, Mailbox.uid).where(Mailbox.server_id == server_id, *waiting))
    return {address: str(uid) for address, uid in found}


def _stream(session: Session, table: type[Mailbox] | type[Alias], server_id: int) -> Any:
    """Plain tuples of the columns a comparison needs: 100,000 rows of the full kind would take seconds."""
    columns = table.__table__.c
    names = ("address", "removing", "claimed", "sync_status", "generation", *OWN_COLUMNS[table])  # columns
    statement = select(*(columns[name] for name in names)).where(columns.server_id == server_id)
    return session.connection().execute(statement, execution_options={"yield_per": 10_000})


def _wish(removing: bool, status: str = Status.ACTIVE, login_open: bool = False) -> Wish:
    if removing:
        return Wish.ABSENT
    if status != Status.DELETED:
        return Wish.PRESENT
    return Wish.IGNORED if login_open else Wish.CLOSED


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
    unmade = resource is Resource.MAILBOX and row.status == Status.DELETED and not row.owned
    how_far = row.generation, row.attempts, row.removing, confirming, row.last_synced_at
    return Item(key, row.id, row.uid, *how_far, unmade)


def other_addresses(session: Session, server_id: int, items: dict[Key, Item]) -> dict[Resource, list[str]]:
    """Entries that should be on the server already: a server that lost many of them is not written to."""
    others = {}
    for resource, table in TABLES.items():
        kept = Mailbox.login_open.is_(False) if table is Mailbox else true()
        statement = select(table.address).where(
            table.server_id == server_id, table.owned.is_(True), table.removing.is_(False), kept
        )
        looked_at = {key.address for key in items if key.resource is resource}
        others[resource] = [a for a in session.scalars(statement) if a not in looked_at]
    return others
