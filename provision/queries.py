"""The front door for reading. Every list takes the Actor and shows what he may see; filtering, sorting and paging
happen in SQL, so a page of 50 out of 100,000 costs milliseconds.

Lists come as `Page` of plain dicts (for tables and JSON); one thing comes as its row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, Text, and_, case, func, literal_column, or_, select, union_all
from sqlalchemy.orm import Session

from provision import audit
from provision.access import Actor, Permission
from provision.database import Database
from provision.errors import InvalidInput, NotFound
from provision.models import (
    Alias,
    Domain,
    LogStatus,
    Mailbox,
    Operator,
    ProvisionLog,
    Server,
    Status,
    SyncStatus,
    operator_domain,
    utc_now,
)
from provision.search import matches

# Written out, not bound: the databases use their partial indexes only for this very text.
PRESENT = literal_column("mailbox.status <> 'DELETED'")
MAX_PAGE_SIZE = 1_000
MAILBOX_SORTS: Mapping[str, Any] = {
    "address": Mailbox.address, "display_name": Mailbox.display_name, "quota": Mailbox.quota_bytes, "used": Mailbox.used_bytes,
    "used_percent": Mailbox.used_percent, "updated_at": Mailbox.updated_at, "last_synced_at": Mailbox.last_synced_at,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `number` counts from 1; `total` is of all pages."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """What a list of mailboxes is narrowed to; None means any."""

    search: str = ""
    domain: str | None = None
    status: Status | None = None  # None: all that are not deleted
    sync_status: SyncStatus | None = None
    used_percent_from: int | None = None


@dataclass(frozen=True, slots=True)
class LogFilter:
    operation: str | None = None
    resource_type: str | None = None
    resource_id: UUID | None = None
    status: LogStatus | None = None
    operator: str | None = None
    search: str = ""  # beginning of the address or name
    since: datetime | None = None
    until: datetime | None = None


class Queries:
    def __init__(self, database: Database) -> None:
        self.database = database

    # ---- mailboxes -------------------------------------------------------------------------

    def mailboxes(
        self, actor: Actor, where: MailboxFilter = MailboxFilter(), *, sort: str = "address", descending: bool = False,
        number: int = 1, size: int = 50,
    ) -> Page:  # fmt: skip
        """A page of mailboxes, with their domain's name."""
        actor.require(Permission.MAILBOX_READ)
        if sort not in MAILBOX_SORTS:
            raise InvalidInput(f"Mailboxes cannot be sorted by {sort}; there are: {', '.join(MAILBOX_SORTS)}.")
        with self.database.read() as session:
            conditions = self._mailbox_conditions(session, actor, where)
            return _page(session, Mailbox, MAILBOX_COLUMNS, conditions, MAILBOX_SORTS[sort], descending, number, size)

    def each_mailbox(self, actor: Actor, where: MailboxFilter = MailboxFilter()) -> Iterator[Mapping[str, Any]]:
        """Every mailbox of the list by address, as a stream, with its aliases: for an export."""
        actor.require(Permission.MAILBOX_READ)
        with self.database.read() as session:
            conditions = self._mailbox_conditions(session, actor, where)
            statement = _joined(Mailbox, MAILBOX_COLUMNS).where(*conditions).order_by(Mailbox.address)
            for part in session.execute(statement.execution_options(yield_per=1000)).mappings().partitions(1000):
                aliases = _aliases_of(session, [row["id"] for row in part])
                for row in part:
                    yield {**row, "aliases": aliases.get(row["id"], [])}

    def mailbox(self, actor: Actor, uid: UUID) -> Mailbox:
        """Raises: NotFound, also for a mailbox in somebody else's domain."""
        actor.require(Permission.MAILBOX_READ)
        return self._one(actor, Mailbox, Mailbox.uid == uid, "mailbox")  # type: ignore[no-any-return]

    def mailbox_by_address(self, actor: Actor, address: str) -> Mailbox:
        actor.require(Permission.MAILBOX_READ)
        return self._one(actor, Mailbox, Mailbox.address == address, "mailbox", address)  # type: ignore[no-any-return]

    def _mailbox_conditions(self, session: Session, actor: Actor, where: MailboxFilter) -> list[ColumnElement[bool]]:
        found = [Mailbox.status == where.status if where.status else PRESENT, *_scope(actor, Mailbox.domain_id)]
        if where.domain:
            found.append(Mailbox.domain_id == _domain_id(session, where.domain))
        if where.sync_status:
            found.append(Mailbox.sync_status == where.sync_status)
        if where.used_percent_from is not None:
            found.append(Mailbox.used_percent >= where.used_percent_from)
        if where.search.strip():
            found.append(matches(session, where.search.strip().lower()))
        return found

    # ---- aliases ---------------------------------------------------------------------------

    def aliases(
        self, actor: Actor, *, search: str = "", domain: str | None = None, mailbox_id: UUID | None = None,
        sync_status: SyncStatus | None = None, number: int = 1, size: int = 50,
    ) -> Page:  # fmt: skip
        """A page of aliases by owner and address; those that are on their way out included."""
        actor.require(Permission.ALIAS_READ)
        with self.database.read() as session:
            conditions = _scope(actor, Alias.domain_id)
            if domain:
                conditions.append(Alias.domain_id == _domain_id(session, domain))
            if sync_status:
                conditions.append(Alias.sync_status == sync_status)
            if mailbox_id:
                conditions.append(
                    Alias.mailbox_id == select(Mailbox.id).where(Mailbox.uid == mailbox_id).scalar_subquery()
                )
            if search.strip():
                like = f"%{_escaped(search.strip().lower())}%"
                in_destinations = func.lower(Alias.destinations.cast(Text)).like(like, escape="\\")
                conditions.append(or_(Alias.address.like(like, escape="\\"), in_destinations))
            return _page(session, Alias, ALIAS_COLUMNS, conditions, Alias.address, False, number, size)

    def alias(self, actor: Actor, uid: UUID) -> Alias:
        actor.require(Permission.ALIAS_READ)
        return self._one(actor, Alias, Alias.uid == uid, "alias")  # type: ignore[no-any-return]

    def alias_by_address(self, actor: Actor, address: str) -> Alias:
        actor.require(Permission.ALIAS_READ)
        return self._one(actor, Alias, Alias.address == address, "alias", address)  # type: ignore[no-any-return]

    # ---- domains, servers, operators -------------------------------------------------------

    def domains(self, actor: Actor) -> list[Mapping[str, Any]]:
        """The domains with server, number of mailboxes, sum of their quotas and of what they use."""
        actor.require(Permission.DOMAIN_READ)
        sums = (
            select(
                Mailbox.domain_id, func.count().label("mailboxes"), func.sum(Mailbox.quota_bytes).label("quota_bytes"),
                func.sum(Mailbox.used_bytes).label("used_bytes"),
                func.sum(case((Mailbox.quota_bytes == 0, 1), else_=0)).label("unlimited"),
            ).where(PRESENT).group_by(Mailbox.domain_id).subquery()
        )  # fmt: skip
        statement = (
            select(
                Domain.uid, Domain.name, Domain.description, Domain.default_quota_bytes, Domain.version, Server.name.label("server"),
                func.coalesce(sums.c.mailboxes, 0).label("mailboxes"), func.coalesce(sums.c.quota_bytes, 0).cast(BigInteger).label("quota_bytes"),
                func.coalesce(sums.c.used_bytes, 0).cast(BigInteger).label("used_bytes"), func.coalesce(sums.c.unlimited, 0).label("unlimited"),
            ).join(Server).outerjoin(sums, sums.c.domain_id == Domain.id).where(*_scope(actor, Domain.id)).order_by(Domain.name)
        )  # fmt: skip
        with self.database.read() as session:
            return [dict(row) for row in session.execute(statement).mappings()]

    def domain_by_name(self, actor: Actor, name: str) -> Domain:
        actor.require(Permission.DOMAIN_READ)
        with self.database.read() as session:
            row = session.scalar(select(Domain).where(Domain.name == name, *_scope(actor, Domain.id)))
        if row is None:
            raise NotFound(f"The domain {name} is not set up here.", code="DOMAIN_NOT_FOUND")
        return row

    def servers(self, actor: Actor) -> list[Server]:
        """The mail servers with their health, by name; settings are shown to those who may change them only."""
        actor.require(Permission.SERVER_READ)
        with self.database.read() as session:
            rows = list(session.scalars(select(Server).order_by(Server.name)))
        if not actor.may(Permission.SERVER_WRITE):
            for row in rows:
                row.settings = {}
        return rows

    def server_by_name(self, actor: Actor, name: str) -> Server:
        found = next((server for server in self.servers(actor) if server.name == name), None)
        if found is None:
            raise NotFound(f"There is no mail server called {name}.", code="SERVER_NOT_FOUND")
        return found

    def operators(self, actor: Actor) -> list[Mapping[str, Any]]:
        """Everybody who may sign in, with role and domains; never a hash."""
        actor.require(Permission.OPERATOR_READ)
        columns = [getattr(Operator, name) for name in OPERATOR_COLUMNS]
        with self.database.read() as session:
            domains: dict[int, list[str]] = {}
            for row in session.execute(
                select(operator_domain.c.operator_id, Domain.name).join(Domain).order_by(Domain.name)
            ):
                domains.setdefault(row.operator_id, []).append(row.name)
            rows = session.execute(select(*columns).order_by(Operator.username)).mappings()
            return [{**row, "domains": domains.get(row["id"], [])} for row in rows]

    # ---- sync ------------------------------------------------------------------------------

    def counts(self, actor: Actor) -> dict[str, int]:
        """Mailboxes and aliases by sync status and mailboxes by status, e.g. `mailbox.PENDING`, `mailbox.DISABLED`."""
        actor.require(Permission.SYNC_READ)
        found: dict[str, int] = {}
        with self.database.read() as session:
            statement = select(Mailbox.status, Mailbox.sync_status, func.count()).where(
                *_scope(actor, Mailbox.domain_id)
            )
            for status, sync_status, number in session.execute(statement.group_by(Mailbox.status, Mailbox.sync_status)):
                found[f"mailbox.{status}"] = found.get(f"mailbox.{status}", 0) + number
                if status != Status.DELETED or sync_status != SyncStatus.SYNCED:
                    found[f"mailbox.{sync_status}"] = found.get(f"mailbox.{sync_status}", 0) + number
            statement = select(Alias.sync_status, func.count()).where(*_scope(actor, Alias.domain_id))
            for sync_status, number in session.execute(statement.group_by(Alias.sync_status)):
                found[f"alias.{sync_status}"] = number
            over = select(func.count()).where(PRESENT, Mailbox.used_percent >= 90, *_scope(actor, Mailbox.domain_id))
            found["mailbox.over_90_percent"] = session.scalar(over) or 0
        return found

    def waiting(self, actor: Actor, *, sync_status: SyncStatus | None = None, number: int = 1, size: int = 50) -> Page:
        """What is PENDING or FAILED, FAILED first, with the reason and the next try."""
        actor.require(Permission.SYNC_READ)
        wanted = [sync_status] if sync_status else [SyncStatus.PENDING, SyncStatus.FAILED]
        parts = [
            select(
                literal_column(f"'{table.__tablename__}'").label("resource"), table.uid, table.address, table.sync_status, table.removing,
                table.attempts, table.next_attempt_at, table.error, table.error_code, table.updated_at, table.server_id,
            ).where(table.sync_status.in_(wanted), *_scope(actor, table.domain_id))
            for table in (Mailbox, Alias)
        ]  # fmt: skip
        rows = union_all(*parts).subquery()
        statement = (
            select(rows, Server.name.label("server"), Server.error.label("server_error"), Server.alarm)
            .join(Server, Server.id == rows.c.server_id)
            .order_by(rows.c.sync_status, rows.c.address)
        )
        with self.database.read() as session:
            total = session.scalar(select(func.count()).select_from(rows)) or 0
            page = session.execute(statement.limit(size).offset((number - 1) * size)).mappings()
            return Page([dict(row) for row in page], total, number, size)

    # ---- log -------------------------------------------------------------------------------

    def logs(self, actor: Actor, where: LogFilter = LogFilter(), *, number: int = 1, size: int = 50) -> Page:
        """The provision log, newest first. A DomainAdmin sees what concerns his domains."""
        actor.require(Permission.LOG_READ)
        with self.database.read() as session:
            conditions = _log_conditions(session, actor, where)
            total = session.scalar(select(func.count()).select_from(ProvisionLog).where(*conditions)) or 0
            statement = select(ProvisionLog.__table__).where(*conditions).order_by(ProvisionLog.id.desc())
            rows = session.execute(statement.limit(size).offset((number - 1) * size)).mappings()
            return Page([dict(row) for row in rows], total, number, size)

    def each_log(self, actor: Actor, where: LogFilter = LogFilter()) -> Iterator[Mapping[str, Any]]:
        """The whole filtered log, oldest first, as a stream."""
        actor.require(Permission.LOG_READ)
        with self.database.read() as session:
            statement = (
                select(ProvisionLog.__table__).where(*_log_conditions(session, actor, where)).order_by(ProvisionLog.id)
            )
            yield from session.execute(statement.execution_options(yield_per=1000)).mappings()

    def verify_audit(self, actor: Actor, exported: Mapping[str, Any] | None = None) -> audit.ChainReport:
        """Walk the audit chain; `exported`: a head kept outside."""
        actor.require(Permission.AUDIT_VERIFY)
        with self.database.read() as session:
            return audit.verify(session, exported)

    def audit_head(self, actor: Actor) -> dict[str, Any]:
        actor.require(Permission.AUDIT_VERIFY)
        with self.database.read() as session:
            return audit.export_head(session)

    def operations_per_day(self, actor: Actor, days: int = 14) -> list[Mapping[str, Any]]:
        """Finished operations by day (UTC) and status."""
        actor.require(Permission.LOG_READ)
        day = func.date(ProvisionLog.started_at).label("day")
        since = utc_now() - timedelta(days=days)
        with self.database.read() as session:
            conditions = [
                *_log_conditions(session, actor, LogFilter(since=since)),
                ProvisionLog.status != LogStatus.PENDING,
            ]
            statement = select(day, ProvisionLog.status, func.count().label("operations")).where(*conditions)
            rows = session.execute(statement.group_by(day, ProvisionLog.status).order_by(day)).mappings()
            return [dict(row) for row in rows]

    def _one(self, actor: Actor, table: type[Any], condition: ColumnElement[bool], what: str, name: str = "") -> Any:
        with self.database.read() as session:
            row = session.scalar(select(table).where(condition, *_scope(actor, table.domain_id)))
            if row is None:
                raise NotFound(f"There is no {what} {name}".strip() + ".", code=f"{what.upper()}_NOT_FOUND")
            row.domain  # noqa: B018 - loaded while the session is open
            return row


COMMON_COLUMNS = (
    "id", "uid", "address", "sync_status", "error", "error_code", "attempts", "next_attempt_at", "last_synced_at", "removing",
    "created_at", "updated_at", "version", "server_id",
)  # fmt: skip
MAILBOX_COLUMNS = (
    *COMMON_COLUMNS, "display_name", "status", "quota_bytes", "quota_messages", "used_bytes", "used_messages", "used_percent", "used_at",
)  # fmt: skip
ALIAS_COLUMNS = (*COMMON_COLUMNS, "destinations", "mailbox_id")
OPERATOR_COLUMNS = (
    "id", "uid", "username", "display_name", "email", "role", "enabled", "must_change_password", "locked_until", "last_login_at",
    "created_at", "version",
)  # fmt: skip


def _scope(actor: Actor, column: Any) -> list[ColumnElement[bool]]:
    """Condition that keeps an actor to his domains. The only way a list is narrowed to what he may see."""
    return [] if actor.domains is None else [column.in_(sorted(actor.domains))]


def _page(
    session: Session, table: type[Any], columns: Sequence[str], conditions: Sequence[ColumnElement[bool]], sort: Any,
    descending: bool, number: int, size: int,
) -> Page:  # fmt: skip
    """The ids of the page first, from an index, then their rows. Deep pages are walked to from the nearer end."""
    size = max(1, min(size, MAX_PAGE_SIZE))
    total = session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
    number = max(1, min(number, -(-total // size) or 1))
    start, length = (number - 1) * size, min(size, max(0, total - (number - 1) * size))
    from_end = start > total // 2
    offset = total - start - length if from_end else start
    downward = descending != from_end
    order = (sort.desc(), table.id.desc()) if downward else (sort.asc(), table.id.asc())
    ids = list(session.scalars(select(table.id).where(*conditions).order_by(*order).limit(length).offset(offset)))
    if from_end:
        ids.reverse()
    rows = {row["id"]: row for row in session.execute(_joined(table, columns).where(table.id.in_(ids))).mappings()}
    return Page([dict(rows[i]) for i in ids if i in rows], total, number, size)


def _joined(table: type[Any], columns: Sequence[str]) -> Select[Any]:
    statement = select(*(getattr(table, name) for name in columns), Domain.name.label("domain"))
    statement = statement.join(Domain, Domain.id == table.domain_id)
    if table is Alias:
        statement = statement.add_columns(Mailbox.address.label("mailbox")).outerjoin(
            Mailbox, Mailbox.id == Alias.mailbox_id
        )
    return statement


def _aliases_of(session: Session, mailbox_ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    statement = select(Alias.mailbox_id, Alias.address).where(
        Alias.mailbox_id.in_(mailbox_ids), Alias.removing.is_(False)
    )
    for mailbox_id, address in session.execute(statement.order_by(Alias.address)):
        found.setdefault(mailbox_id or 0, []).append(address)
    return found


def _domain_id(session: Session, name: str) -> int:
    return session.scalar(select(Domain.id).where(Domain.name == name)) or -1


def _log_conditions(session: Session, actor: Actor, where: LogFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if actor.domains is not None:
        names = select(Domain.name).where(Domain.id.in_(actor.domains))
        found.append(ProvisionLog.domain.in_(list(session.scalars(names))))
    pairs = (
        (ProvisionLog.operation, where.operation), (ProvisionLog.resource_type, where.resource_type),
        (ProvisionLog.resource_id, str(where.resource_id) if where.resource_id else None),
        (ProvisionLog.status, where.status), (ProvisionLog.operator, where.operator),
    )  # fmt: skip
    found += [column == value for column, value in pairs if value is not None]
    if where.since:
        found.append(ProvisionLog.started_at >= where.since)
    if where.until:
        found.append(ProvisionLog.started_at < where.until)
    if start := where.search.strip().lower():
        found.append(and_(ProvisionLog.resource_name >= start, ProvisionLog.resource_name < start + "\U0010ffff"))
    return found


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
