"""Mailboxes and aliases: lists, single ones, streams for an export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Text, func, or_, select
from sqlalchemy.orm import Session

from provision.core.access import Actor, Permission
from provision.core.address import as_stored
from provision.core.errors import InvalidInput
from provision.core.letters import normal
from provision.core.state import Resource
from provision.queries.lists import (
    ALIAS_COLUMNS,
    MAILBOX_COLUMNS,
    MAX_PAGE_SIZE,
    PRESENT,
    Page,
    PageScan,
    Reads,
    count,
    domain_id,
    joined,
    kept_to_pages,
    page,
    rows_of,
)
from provision.queries.rows import AliasRow, ExportedRow, MailboxRow
from provision.storage.models import Alias, Mailbox, Status, SyncStatus
from provision.storage.scope import scope
from provision.storage.search import Search, escaped, leads_to, matches

MAILBOX_SORTS: Mapping[str, Any] = {
    "address": Mailbox.address,
    "display_name": Mailbox.display_name,
    "quota": Mailbox.quota_bytes,
    "used": Mailbox.used_bytes,
    "used_percent": Mailbox.used_percent,
    "updated_at": Mailbox.updated_at,
    "last_synced_at": Mailbox.last_synced_at,
}


JSON_SIGNS = frozenset('[]", ')
AT_ONCE = 100  # addresses that one statement compares with; SQLite takes a few hundred


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """What a list of mailboxes is narrowed to; None means any."""

    search: str = ""
    domain: str | None = None
    status: Status | None = None  # None: all that are not deleted
    sync_status: SyncStatus | None = None
    used_percent_from: int | None = None


class MailboxReads(Reads):
    def mailboxes(
        self,
        actor: Actor,
        where: MailboxFilter = MailboxFilter(),
        *,
        sort: str = "address",
        descending: bool = False,
        number: int = 1,
        size: int = 50,
    ) -> Page[MailboxRow]:
        """A page of mailboxes, with their domain's name."""
        actor.require(Permission.MAILBOX_READ)
        if sort not in MAILBOX_SORTS:
            raise InvalidInput(f"Mailboxes cannot be sorted by {sort}; there are: {', '.join(MAILBOX_SORTS)}.")
        with self.database.read() as session:
            conditions = self._mailbox_conditions(session, actor, where)
            search = _search(session, where)
            order = MAILBOX_SORTS[sort]
            return page(session, Mailbox, MAILBOX_COLUMNS, conditions, order, descending, number, size, search)

    def each_mailbox(self, actor: Actor, where: MailboxFilter = MailboxFilter()) -> Iterator[ExportedRow]:
        """Every mailbox of the list by address, as a stream, for an export; with the aliases that lead to it alone."""
        actor.require(Permission.MAILBOX_READ)
        with self.database.read() as session:
            conditions = self._mailbox_conditions(session, actor, where)
            if search := _search(session, where):
                conditions.append(search.walk)
        for part in self._in_parts(joined(Mailbox, MAILBOX_COLUMNS).where(*conditions), Mailbox.address):
            with self.database.read() as session:
                aliases = _aliases_of(session, {row["id"]: row["address"] for row in part})
            for row in part:
                yield cast(ExportedRow, {**row, "aliases": aliases.get(row["id"], [])})

    def mailbox(self, actor: Actor, uid: UUID) -> Mailbox:
        """Raises: NotFound, also for a mailbox in somebody else's domain."""
        actor.require(Permission.MAILBOX_READ)
        return self._one(actor, Mailbox, Mailbox.uid == uid, "mailbox")  # type: ignore[no-any-return]

    def mailbox_row(self, actor: Actor, uid: UUID | str) -> MailboxRow:
        """One mailbox as it stands in a list; `uid`: its id, or its address in stored form."""
        actor.require(Permission.MAILBOX_READ)
        found: MailboxRow = self._as_listed(actor, Mailbox, MAILBOX_COLUMNS, uid, "mailbox")
        return found

    def row(self, actor: Actor, resource: Resource, uid: UUID) -> MailboxRow | AliasRow:
        """A mailbox or alias as it stands in a list. Raises: NotFound, also when its removal is done."""
        return self.mailbox_row(actor, uid) if resource is Resource.MAILBOX else self.alias_row(actor, uid)

    def own_mailboxes(self, actor: Actor, uids: Sequence[UUID]) -> frozenset[UUID]:
        """Those of these mailboxes that the actor may see."""
        actor.require(Permission.MAILBOX_READ)
        statement = select(Mailbox.uid).where(Mailbox.uid.in_(uids), *scope(actor, Mailbox.domain_id))
        with self.database.read() as session:
            return frozenset(session.scalars(statement))

    def mailbox_by_address(self, actor: Actor, address: str) -> Mailbox:
        actor.require(Permission.MAILBOX_READ)
        return self._one(actor, Mailbox, Mailbox.address == address, "mailbox", address)  # type: ignore[no-any-return]

    def _mailbox_conditions(self, session: Session, actor: Actor, where: MailboxFilter) -> list[ColumnElement[bool]]:
        found = [Mailbox.status == where.status if where.status else PRESENT, *scope(actor, Mailbox.domain_id)]
        if where.domain:
            found.append(Mailbox.domain_id == domain_id(session, where.domain))
        if where.sync_status:
            found.append(Mailbox.sync_status == where.sync_status)
        if where.used_percent_from is not None:
            found.append(Mailbox.used_percent >= where.used_percent_from)
        return found

    def aliases(
        self,
        actor: Actor,
        *,
        search: str = "",
        domain: str | None = None,
        mailbox_id: UUID | None = None,
        sync_status: SyncStatus | None = None,
        number: int = 1,
        size: int = 50,
    ) -> Page[AliasRow]:
        """A page of aliases by owner and address, those without an owner last; what is on its way out included."""
        actor.require(Permission.ALIAS_READ)
        with self.database.read() as session:
            conditions = _alias_conditions(session, actor, search, domain)
            if sync_status:
                conditions.append(Alias.sync_status == sync_status)
            if mailbox_id:
                conditions.append(
                    Alias.mailbox_id == select(Mailbox.id).where(Mailbox.uid == mailbox_id).scalar_subquery()
                )
            return _alias_page(session, conditions, number, max(1, min(size, MAX_PAGE_SIZE)))

    def each_alias(self, actor: Actor, *, search: str = "", domain: str | None = None) -> Iterator[AliasRow]:
        """Every alias of the list by address, as a stream, for an export."""
        actor.require(Permission.ALIAS_READ)
        with self.database.read() as session:
            conditions = _alias_conditions(session, actor, search, domain)
        for part in self._in_parts(joined(Alias, ALIAS_COLUMNS).where(*conditions), Alias.address):
            yield from (cast(AliasRow, dict(row)) for row in part)

    def aliases_to(self, actor: Actor, addresses: Sequence[str]) -> list[AliasRow]:
        """All aliases that have one of these addresses, in stored form, as a destination; by address."""
        actor.require(Permission.ALIAS_READ)
        found: dict[int, AliasRow] = {}
        statement = joined(Alias, ALIAS_COLUMNS).where(*scope(actor, Alias.domain_id))
        with self.database.read() as session:
            for start in range(0, len(addresses), AT_ONCE):
                pointing = statement.where(leads_to(addresses[start : start + AT_ONCE]))
                found.update((row["id"], cast(AliasRow, dict(row))) for row in session.execute(pointing).mappings())
        return sorted(found.values(), key=lambda row: row["address"])

    def alias(self, actor: Actor, uid: UUID) -> Alias:
        actor.require(Permission.ALIAS_READ)
        return self._one(actor, Alias, Alias.uid == uid, "alias")  # type: ignore[no-any-return]

    def alias_row(self, actor: Actor, uid: UUID | str) -> AliasRow:
        """One alias as it stands in a list; `uid`: its id, or its address in stored form."""
        actor.require(Permission.ALIAS_READ)
        found: AliasRow = self._as_listed(actor, Alias, ALIAS_COLUMNS, uid, "alias")
        return found

    def alias_by_address(self, actor: Actor, address: str) -> Alias:
        actor.require(Permission.ALIAS_READ)
        return self._one(actor, Alias, Alias.address == address, "alias", address)  # type: ignore[no-any-return]


def _alias_conditions(session: Session, actor: Actor, search: str, domain: str | None) -> list[ColumnElement[bool]]:
    conditions = list(scope(actor, Alias.domain_id))
    if domain:
        conditions.append(Alias.domain_id == domain_id(session, domain))
    if search.strip():
        needle = as_stored(normal(search).strip().lower())
        like = f"%{escaped(needle)}%"
        in_destinations = func.lower(Alias.destinations.cast(Text)).like(like, escape="\\")
        is_sign = set(needle) & JSON_SIGNS  # of the list, not of an address in it
        in_address = Alias.address.like(like, escape="\\")
        conditions.append(in_address if is_sign else or_(in_address, in_destinations))
    return conditions


def _alias_page(session: Session, conditions: Sequence[ColumnElement[bool]], number: int, size: int) -> Page[AliasRow]:
    """Two lists, one behind the other: those with an owner and those without.

    The whole list is walked along the owners' index. A part of it is sorted (the `+ ""` has no index): PostgreSQL
    would walk past nearly all owners to find it.
    """
    owner = Mailbox.address + "" if conditions else Mailbox.address
    owned, free = (*conditions, Alias.mailbox_id.is_not(None)), (*conditions, Alias.mailbox_id.is_(None))
    owned_total, free_total = count(session, Alias, owned), count(session, Alias, free)
    number = kept_to_pages(number, owned_total + free_total, size)
    start = (number - 1) * size
    by_owner = select(Alias.id).join(Mailbox, Mailbox.id == Alias.mailbox_id).where(*owned)
    ids = PageScan(by_owner, (owner, Alias.address), owned_total).ids(session, start, size)
    rest = PageScan(select(Alias.id).where(*free), (Alias.address,), free_total)
    ids += rest.ids(session, max(0, start - owned_total), size - len(ids))
    rows = cast(list[AliasRow], rows_of(session, Alias, ALIAS_COLUMNS, ids))
    return Page(rows, owned_total + free_total, number, size)


def _search(session: Session, where: MailboxFilter) -> Search | None:
    needle = where.search.strip()
    return matches(session, needle) if needle else None


def _aliases_of(session: Session, mailboxes: Mapping[int, str]) -> dict[int, list[str]]:
    """By mailbox id. An alias with more destinations is more than a second name of the mailbox, so it is left out."""
    found: dict[int, list[str]] = {}
    statement = select(Alias.mailbox_id, Alias.address, Alias.destinations).where(
        Alias.mailbox_id.in_(mailboxes), Alias.removing.is_(False)
    )
    for mailbox_id, address, destinations in session.execute(statement.order_by(Alias.address)):
        if mailbox_id and destinations == [mailboxes[mailbox_id]]:
            found.setdefault(mailbox_id, []).append(address)
    return found
