"""Domains with their sums, mail servers with their health, operators."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, case, func, literal_column, select, union_all
from sqlalchemy.orm import Session

from provision.core.access import Actor, Permission
from provision.core.errors import NotFound
from provision.core.state import Resource
from provision.core.texts import N_
from provision.core.traits import Feature
from provision.queries.explain import Explanation, explain_server
from provision.queries.lists import (
    COMMON_COLUMNS,
    PRESENT,
    Page,
    Reads,
    domain_id,
    explained,
    kept_to_pages,
    stored_domain,
)
from provision.queries.rows import DomainRow, OperatorRow, ServerRow, UnsyncedRow, columns
from provision.servers.kinds import KINDS, settings_of, traits_of
from provision.servers.setting import Setting
from provision.storage.models import (
    TABLES,
    Alias,
    Domain,
    Mailbox,
    Operator,
    Server,
    Status,
    SyncStatus,
    operator_domain,
    utc_now,
)
from provision.storage.scope import own_addresses, scope
from provision.sync.engine import quiet_until

OPERATOR_COLUMNS = columns(OperatorRow, Operator)
HEALTH_COLUMNS = columns(ServerRow, Server)
FULL_PERCENT = 90  # of its quota: from there on a mailbox is counted as nearly full
UNREACHABLE = N_("The mail server cannot be reached.")
HALTED = N_("It waits until a super admin has looked.")
AT_ONCE = 5_000  # ids in one statement

# Written out, as PRESENT is, for the partial index of the same text.
UNUSUAL: ColumnElement[bool] = literal_column("(mailbox.status <> 'ACTIVE' OR mailbox.sync_status <> 'SYNCED')")


class ServerReads(Reads):
    def domains(self, actor: Actor) -> list[DomainRow]:
        """The domains with server, number of mailboxes, sum of their quotas and of what they use."""
        actor.require(Permission.DOMAIN_READ)
        with self.database.read() as session:
            rows = session.execute(_with_sums(scope(actor, Domain.id))).mappings()
            return [cast(DomainRow, dict(row)) for row in rows]

    def domain_row(self, actor: Actor, name: str) -> DomainRow:
        """One domain as it stands in the list. Raises: NotFound."""
        actor.require(Permission.DOMAIN_READ)
        with self.database.read() as session:
            only = domain_id(session, name)
            conditions = [Domain.id == only, *scope(actor, Domain.id)]
            row = session.execute(_with_sums(conditions, Mailbox.domain_id == only)).mappings().first()
        if row is None:
            raise NotFound(f"The domain {name} is not set up here.", code="DOMAIN_NOT_FOUND")
        return cast(DomainRow, dict(row))

    def domain_names(self, actor: Actor) -> list[str]:
        actor.require(Permission.DOMAIN_READ)
        with self.database.read() as session:
            return list(session.scalars(select(Domain.name).where(*scope(actor, Domain.id)).order_by(Domain.name)))

    def own(self, actor: Actor) -> Callable[[str], bool]:
        """Whether an address is in a domain of theirs, as it is when this is asked for."""
        return own_addresses(self.database, actor)

    def domain_by_name(self, actor: Actor, name: str) -> Domain:
        actor.require(Permission.DOMAIN_READ)
        with self.database.read() as session:
            row = session.scalar(select(Domain).where(Domain.name == stored_domain(name), *scope(actor, Domain.id)))
        if row is None:
            raise NotFound(f"The domain {name} is not set up here.", code="DOMAIN_NOT_FOUND")
        return row

    def servers(self, actor: Actor) -> list[Server]:
        """The mail servers with their health, by name; settings are shown to those who may change them only.

        Whoever is kept to some domains sees the servers of those; a token of theirs neither counts nor paths.
        """
        actor.require(Permission.SERVER_READ)
        own = Server.id.in_(select(Domain.server_id).where(*scope(actor, Domain.id)))
        conditions = [] if actor.domains is None else [own]
        with self.database.read() as session:
            rows = list(session.scalars(select(Server).where(*conditions).order_by(Server.name)))
            if actor.domains is not None and actor.scopes is not None:
                _keep_to_own(session, actor, rows)
        if not actor.may(Permission.SERVER_WRITE):
            for row in rows:
                row.settings = {}
        return rows

    def health(self, actor: Actor) -> list[ServerRow]:
        """The mail servers as they are now, with how much waits for each; `gathering_until`: changes are collected;
        `reason`: why nothing goes out, with the rest of an `Explanation`."""
        actor.require(Permission.SERVER_READ)
        with self.database.read() as session:
            unsynced = _unsynced_counts(session, actor)
        found: list[ServerRow] = []
        now, nothing = utc_now(), Explanation()
        for server in self.servers(actor):
            shown = {name: getattr(server, name) for name in HEALTH_COLUMNS}
            pending, failed = (unsynced.get((server.id, s), 0) for s in (SyncStatus.PENDING, SyncStatus.FAILED))
            gathering = quiet_until(server, now) if pending else None
            traits = traits_of(server.kind)
            can = {"erases_mail": traits.can(Feature.ERASE_MAIL), "disables": traits.can(Feature.DISABLE)}
            shown |= {**can, "cost": traits.cost}
            shown = {**(explain_server(server, now) or nothing)._asdict(), **shown}
            shown |= {"pending": pending, "failed": failed, "gathering_until": gathering}
            found.append(cast(ServerRow, shown))
        return found

    def server_by_name(self, actor: Actor, name: str) -> Server:
        found = next((server for server in self.servers(actor) if server.name == name), None)
        if found is None:
            raise NotFound(f"There is no mail server called {name}.", code="SERVER_NOT_FOUND")
        return found

    def server_kinds(self, actor: Actor) -> dict[str, tuple[str, tuple[Setting, ...]]]:
        """Kinds of mail server: name → label and what each can be told."""
        actor.require(Permission.SERVER_READ)
        return {kind.name: (kind.label, settings_of(kind.name)) for kind in KINDS.values()}

    def operators(self, actor: Actor) -> list[OperatorRow]:
        """Everybody who may sign in, with role and domains; never a hash."""
        actor.require(Permission.OPERATOR_READ)
        chosen = [getattr(Operator, name) for name in OPERATOR_COLUMNS]
        with self.database.read() as session:
            domains: dict[int, list[str]] = {}
            for row in session.execute(
                select(operator_domain.c.operator_id, Domain.name).join(Domain).order_by(Domain.name)
            ):
                domains.setdefault(row.operator_id, []).append(row.name)
            rows = session.execute(select(*chosen).order_by(Operator.username)).mappings()
            return [cast(OperatorRow, {**row, "domains": domains.get(row["id"], [])}) for row in rows]

    def counts(self, actor: Actor) -> dict[str, int]:
        """Mailboxes and aliases by sync status and mailboxes by status, e.g. `mailbox.PENDING`, `mailbox.DISABLED`."""
        actor.require(Permission.SYNC_READ)
        found: dict[str, int] = {}
        with self.database.read() as session:
            for status, sync_status, number in _mailbox_counts(session, actor):
                found[f"mailbox.{status}"] = found.get(f"mailbox.{status}", 0) + number
                if status != Status.DELETED or sync_status != SyncStatus.SYNCED:
                    found[f"mailbox.{sync_status}"] = found.get(f"mailbox.{sync_status}", 0) + number
            by_sync = select(Alias.sync_status, func.count()).where(*scope(actor, Alias.domain_id))
            for sync_status, number in session.execute(by_sync.group_by(Alias.sync_status)):
                found[f"alias.{sync_status}"] = number
            over = select(func.count()).where(
                PRESENT, Mailbox.used_percent >= FULL_PERCENT, *scope(actor, Mailbox.domain_id)
            )
            found["mailbox.over_90_percent"] = session.scalar(over) or 0
        return found

    def oldest_pending(self, actor: Actor) -> datetime | None:
        """Since when the longest waiting change waits."""
        actor.require(Permission.SYNC_READ)
        with self.database.read() as session:
            ages = [
                session.scalar(
                    select(func.min(table.updated_at)).where(
                        table.sync_status == SyncStatus.PENDING, *scope(actor, table.domain_id)
                    )
                )
                for table in (Mailbox, Alias)
            ]
        return min((age for age in ages if age), default=None)

    def unsynced(
        self, actor: Actor, *, sync_status: SyncStatus | None = None, number: int = 1, size: int = 50
    ) -> Page[UnsyncedRow]:
        """What is PENDING or FAILED, FAILED first."""
        actor.require(Permission.SYNC_READ)
        wanted = [sync_status] if sync_status else [SyncStatus.PENDING, SyncStatus.FAILED]
        parts: list[Any] = [
            select(
                literal_column(f"'{table.__tablename__}'").label("resource"),
                *(getattr(table, name) for name in COMMON_COLUMNS),
            ).where(table.sync_status.in_(wanted), *scope(actor, table.domain_id))
            for table in (Mailbox, Alias)
        ]
        rows = union_all(*parts).subquery()
        its_server = (Server.name.label("server"), Server.error.label("server_error"), Server.alarm)
        statement = (
            select(rows, *its_server)
            .join(Server, Server.id == rows.c.server_id)
            .order_by(rows.c.sync_status, rows.c.address)
        )
        with self.database.read() as session:
            total = session.scalar(select(func.count()).select_from(rows)) or 0
            number = kept_to_pages(number, total, size)
            page = session.execute(statement.limit(size).offset((number - 1) * size)).mappings().all()
            rows_now = cast(list[UnsyncedRow], explained(session, page))
            return Page(rows_now, total, number, size)

    def unsynced_of(self, actor: Actor, resource: Resource, uids: Sequence[UUID]) -> list[Any]:
        """Those of these mailboxes or aliases that are not on their mail server yet, by address."""
        actor.require(Permission.SYNC_READ)
        table = TABLES[resource]
        waits = table.uid.in_(uids), table.sync_status != SyncStatus.SYNCED, *scope(actor, table.domain_id)
        with self.database.read() as session:
            return list(session.scalars(select(table).where(*waits).order_by(table.address)))

    def unsynced_count(self, actor: Actor, uids: Sequence[UUID]) -> int:
        """How many of these mailboxes, and of the aliases that belong to them, are not on their mail server yet."""
        actor.require(Permission.SYNC_READ)
        found = 0
        with self.database.read() as session:
            for start in range(0, len(uids), AT_ONCE):
                these = (Mailbox.uid.in_(uids[start : start + AT_ONCE]), *scope(actor, Mailbox.domain_id))
                mailboxes = select(func.count()).where(*these, Mailbox.sync_status != SyncStatus.SYNCED)
                aliases = select(func.count()).where(
                    Alias.mailbox_id.in_(select(Mailbox.id).where(*these)), Alias.sync_status != SyncStatus.SYNCED
                )
                found += (session.scalar(mailboxes) or 0) + (session.scalar(aliases) or 0)
        return found


def _keep_to_own(session: Session, actor: Actor, rows: Sequence[Server]) -> None:
    """What a stranger to the mail server may know of it: that it is away or halted, and their own mailboxes."""
    own = select(Mailbox.server_id, func.count()).where(PRESENT, *scope(actor, Mailbox.domain_id))
    counts = dict(session.execute(own.group_by(Mailbox.server_id)).tuples().all())
    for row in rows:
        row.settings, row.live, row.accounts = {}, None, counts.get(row.id, 0)
        row.error = UNREACHABLE if row.error else None
        row.alarm = HALTED if row.alarm else None


def _with_sums(conditions: Sequence[ColumnElement[bool]], *summed: ColumnElement[bool]) -> Select[Any]:
    """Domains with what their mailboxes come to; `summed`: of those only."""
    sums = (
        select(
            Mailbox.domain_id,
            func.count().label("mailboxes"),
            func.sum(Mailbox.quota_bytes).label("quota_bytes"),
            func.sum(Mailbox.used_bytes).label("used_bytes"),
            func.sum(case((Mailbox.quota_bytes == 0, 1), else_=0)).label("unlimited"),
        )
        .where(PRESENT, *summed)
        .group_by(Mailbox.domain_id)
        .subquery()
    )
    chosen: list[Any] = [
        Domain.uid,
        Domain.name,
        Domain.description,
        Domain.default_quota_bytes,
        Domain.version,
        Server.name.label("server"),
        func.coalesce(sums.c.mailboxes, 0).label("mailboxes"),
        func.coalesce(sums.c.quota_bytes, 0).cast(BigInteger).label("quota_bytes"),
        func.coalesce(sums.c.used_bytes, 0).cast(BigInteger).label("used_bytes"),
        func.coalesce(sums.c.unlimited, 0).label("unlimited"),
    ]
    whole = select(*chosen).join(Server).outerjoin(sums, sums.c.domain_id == Domain.id)
    return whole.where(*conditions).order_by(Domain.name)


def _unsynced_counts(session: Session, actor: Actor) -> dict[tuple[int, str], int]:
    """By server and sync status."""
    found: dict[tuple[int, str], int] = {}
    for table in (Mailbox, Alias):
        unsynced = table.sync_status.in_([SyncStatus.PENDING, SyncStatus.FAILED])
        statement = select(table.server_id, table.sync_status, func.count()).where(
            unsynced, *scope(actor, table.domain_id)
        )
        for server_id, status, number in session.execute(statement.group_by(table.server_id, table.sync_status)):
            found[server_id, status] = found.get((server_id, status), 0) + number
    return found


def _mailbox_counts(session: Session, actor: Actor) -> Iterator[tuple[str, str, int]]:
    """Counts by both statuses. Nearly all are active and synced, so the others are counted, from a small index."""
    within = scope(actor, Mailbox.domain_id)
    total = session.scalar(select(func.count()).select_from(Mailbox).where(*within)) or 0
    statement = select(Mailbox.status, Mailbox.sync_status, func.count()).where(UNUSUAL, *within)
    for status, sync_status, number in session.execute(statement.group_by(Mailbox.status, Mailbox.sync_status)):
        total -= number
        yield status, sync_status, number
    yield Status.ACTIVE, SyncStatus.SYNCED, total
