"""How every list is made: kept to what the actor may see, filtered, sorted and paged in SQL."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, func, literal_column, select
from sqlalchemy.orm import Session

from provision.core import address as addresses
from provision.core.access import Actor
from provision.core.errors import InvalidInput, NotFound
from provision.core.texts import N_
from provision.queries.explain import Explanation, explain
from provision.queries.rows import AliasRow, MailboxRow, SyncedRow, columns
from provision.storage.database import Database
from provision.storage.models import Alias, Domain, Mailbox, Server, Status, SyncStatus, utc_now
from provision.storage.scope import scope
from provision.storage.search import Search

# Written out, not bound: the databases use their partial indexes only for this very text.
PRESENT: ColumnElement[bool] = literal_column("mailbox.status <> 'DELETED'")
MAX_PAGE_SIZE = 1_000
PART = 1_000  # rows of a stream that are fetched at once
NOT_THERE = N_({"mailbox": "There is no mailbox {name}.", "alias": "There is no alias {name}."})
NAMELESS = N_({"mailbox": "There is no mailbox.", "alias": "There is no alias."})
NO_SUCH = N_({"mailbox": "There is no such mailbox.", "alias": "There is no such alias."})
SEARCH_COUNT = 2_000  # a search that finds more says “more than 2,000”
COMMON_COLUMNS = columns(SyncedRow, Mailbox)
MAILBOX_COLUMNS = columns(MailboxRow, Mailbox)
ALIAS_COLUMNS = columns(AliasRow, Alias)
R = TypeVar("R", covariant=True)


def prefetch(lines: Iterator[str]) -> Iterator[str]:
    """The lines, the first two fetched already: what is refused or fails is told before an answer has begun."""
    return chain(list(islice(lines, 2)), lines)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list. `number` counts from 1; `total` is of all pages; `capped`: there are more than `total`."""

    rows: Sequence[R]
    total: int
    number: int
    size: int
    capped: bool = False

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))


class Reads:
    """Base of the parts of Queries."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _one(self, actor: Actor, table: type[Any], condition: ColumnElement[bool], what: str, name: str = "") -> Any:
        with self.database.read() as session:
            row = session.scalar(select(table).where(condition, *scope(actor, table.domain_id)))
            if row is None:
                raise NotFound(
                    NOT_THERE[what].format(name=name) if name else NAMELESS[what], code=f"{what.upper()}_NOT_FOUND"
                )
            row.domain  # noqa: B018 - loaded while the session is open
            return row

    def _in_parts(self, statement: Select[Any], key: Any) -> Iterator[Sequence[RowMapping]]:
        """All rows, in the order of `key`, which is unique and among the columns.

        No connection is held between two parts: who reads may be slow, or stop and never go on.
        """
        rows: Sequence[RowMapping] = ()
        while not rows or len(rows) == PART:
            rest = statement.where(key > rows[-1][key.key]) if rows else statement
            with self.database.read() as session:
                rows = session.execute(rest.order_by(key).limit(PART)).mappings().all()
            if not rows:
                return
            yield rows

    def _as_listed(self, actor: Actor, table: type[Any], columns: Sequence[str], which: UUID | str, what: str) -> Any:
        """By id, or by address in stored form."""
        this = table.uid == which if isinstance(which, UUID) else table.address == which
        with self.database.read() as session:
            found = session.execute(joined(table, columns).where(this, *scope(actor, table.domain_id)))
            row = found.mappings().first()
            if row is None:
                raise NotFound(NO_SUCH[what], code=f"{what.upper()}_NOT_FOUND")
            return explained(session, [row])[0]


def page(
    session: Session,
    table: type[Any],
    columns: Sequence[str],
    conditions: Sequence[ColumnElement[bool]],
    sort: Any,
    descending: bool,
    number: int,
    size: int,
    search: Search | None = None,
) -> Page[Any]:
    """The ids of the page first, from an index, then their rows.

    With a `search` counting stops at SEARCH_COUNT: it would take longer than showing the page.
    """
    size = max(1, min(size, MAX_PAGE_SIZE))
    total = count(session, table, conditions, search)
    capped = search is not None and total > SEARCH_COUNT
    total = SEARCH_COUNT if capped else total
    if search is not None:
        conditions = [*conditions, search.walk if capped else search.within]
    number = kept_to_pages(number, total, size)
    scan = PageScan(select(table.id).where(*conditions), (sort, table.id), total, descending, both_ways=not capped)
    ids = scan.ids(session, (number - 1) * size, size)
    return Page(rows_of(session, table, columns, ids), total, number, size, capped)


@dataclass(frozen=True, slots=True)
class PageScan:
    """The way along a list. Deep pages are walked to from the nearer end; one way only where `total` is not all."""

    ids_in_it: Select[Any]
    order: Sequence[Any]
    total: int
    descending: bool = False
    both_ways: bool = True

    def ids(self, session: Session, start: int, length: int) -> list[int]:
        """`length` of them at most, from `start` on."""
        length = max(0, min(length, self.total - start))
        if not length:
            return []
        from_end = self.both_ways and start > self.total // 2
        downward = self.descending != from_end
        statement = self.ids_in_it.order_by(*(_ordered(key, downward) for key in self.order))
        offset = self.total - start - length if from_end else start
        found = list(session.scalars(statement.limit(length).offset(offset)))
        return found[::-1] if from_end else found


def _ordered(key: Any, downward: bool) -> ColumnElement[Any]:
    """What is not known counts as the least on both databases; said only where it can be, for the indexes' sake."""
    order: ColumnElement[Any] = key.desc() if downward else key.asc()
    if not getattr(key, "nullable", False):
        return order
    return order.nulls_last() if downward else order.nulls_first()


def kept_to_pages(number: int, total: int, size: int) -> int:
    """A page's number, or that of the nearest page there is."""
    return max(1, min(number, -(-total // size)))


def rows_of(session: Session, table: type[Any], columns: Sequence[str], ids: Sequence[int]) -> list[dict[str, Any]]:
    """The rows in the order of their ids, with domain and owner."""
    rows = {row["id"]: row for row in session.execute(joined(table, columns).where(table.id.in_(ids))).mappings()}
    return explained(session, [rows[i] for i in ids if i in rows])


def explained(session: Session, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """The rows, each with why it is not on its mail server yet: the fields of `Explanation`."""
    unsynced = {row["server_id"] for row in rows if row["sync_status"] != SyncStatus.SYNCED}
    servers = {s.id: s for s in session.scalars(select(Server).where(Server.id.in_(unsynced)))} if unsynced else {}
    now, nothing = utc_now(), Explanation()._asdict()

    def why(row: dict[str, Any]) -> dict[str, Any]:
        server = servers.get(row["server_id"])
        return explain(row, server, now)._asdict() if server else nothing

    return [row | why(row) for row in map(dict[str, Any], rows)]


def count(
    session: Session, table: type[Any], conditions: Sequence[ColumnElement[bool]], search: Search | None = None
) -> int:
    if search is not None:
        some = select(table.id).where(*conditions)
        if search.found is not None and len(conditions) == 1:
            some = some.join(search.found, search.found.c.id == table.id)
        else:
            some = some.where(search.within)
        return session.scalar(select(func.count()).select_from(some.limit(SEARCH_COUNT + 1).subquery())) or 0
    if (
        len(conditions) == 1 and conditions[0] is PRESENT
    ):  # all but the deleted: two counts from indexes instead of a scan
        deleted = session.scalar(select(func.count()).where(Mailbox.status == Status.DELETED)) or 0
        return (session.scalar(select(func.count()).select_from(Mailbox)) or 0) - deleted
    return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def joined(table: type[Any], columns: Sequence[str]) -> Select[Any]:
    statement = select(*(getattr(table, name) for name in columns), Domain.name.label("domain"))
    statement = statement.join(Domain, Domain.id == table.domain_id)
    if table is Alias:
        owner = (Mailbox.address.label("mailbox"), Mailbox.uid.label("mailbox_uid"))
        statement = statement.add_columns(*owner).outerjoin(Mailbox, Mailbox.id == Alias.mailbox_id)
    return statement


def domain_id(session: Session, name: str) -> int:
    return session.scalar(select(Domain.id).where(Domain.name == stored_domain(name))) or -1


def stored_domain(name: str) -> str:
    """As it is kept, whichever way somebody writes it; what is no domain stays, and is found nowhere."""
    try:
        return addresses.normalise_domain(name)
    except InvalidInput:
        return name
