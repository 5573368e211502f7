"""The provision log and the audit chain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from provision.audit import archive, chain
from provision.audit.proof import ChainReport
from provision.core.access import Actor, Permission
from provision.core.address import as_stored
from provision.core.errors import InvalidInput, NotFound
from provision.core.letters import normal
from provision.queries.lists import Page, PageScan, Reads, count, kept_to_pages
from provision.queries.rows import DayRow, LogRow
from provision.storage.models import Domain, LogStatus, ProvisionLog, utc_now
from provision.storage.scope import scope
from provision.storage.search import LAST

FEW = 1_000
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


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


def begin_of(text: str | None) -> datetime | None:
    """Where a period that is given as text begins: a day, or a time; UTC, or with an offset. Raises: InvalidInput."""
    return _moment(text) if text else None


def end_of(text: str | None) -> datetime | None:
    """Where it ends: a day is meant with all its hours. Raises: InvalidInput."""
    if not text:
        return None
    return _moment(text) + (timedelta(days=1) if len(text) == len("2026-11-21") else timedelta())


def _moment(text: str) -> datetime:
    try:
        day, clock = text[:10], text[11:].replace(" ", "+")  # an unescaped + of an address is a blank
        found = datetime.fromisoformat(f"{day}T{clock}" if clock else day)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return min(found, LATEST)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text} is no day such as 2026-11-21, and no time such as 2026-11-21T09:00:00Z.") from None


class LogReads(Reads):
    def logs(self, actor: Actor, where: LogFilter = LogFilter(), *, number: int = 1, size: int = 50) -> Page[LogRow]:
        """The provision log, newest first. A DomainAdmin sees what concerns their domains."""
        actor.require(Permission.LOG_READ)
        with self.database.read() as session:
            conditions = _log_conditions(session, actor, where)
            total = count(session, ProvisionLog, conditions)
            number = kept_to_pages(number, total, size)
            # SQLite would walk along the ids, through a million of others, rather than sort a few that it can find.
            key = ProvisionLog.id if total > FEW else ProvisionLog.id + 0
            scan = PageScan(select(ProvisionLog.id).where(*conditions), (key,), total, descending=True)
            ids = scan.ids(session, (number - 1) * size, size)
            chosen = select(ProvisionLog.__table__).where(ProvisionLog.id.in_(ids)).order_by(ProvisionLog.id.desc())
            rows = [cast(LogRow, dict(row)) for row in session.execute(chosen).mappings()]
            return Page(rows, total, number, size)

    def log(self, actor: Actor, uid: UUID) -> LogRow:
        """One record. Raises: NotFound, also for what is not about the actor's domains."""
        actor.require(Permission.LOG_READ)
        with self.database.read() as session:
            conditions = _log_conditions(session, actor, LogFilter())
            found = session.execute(select(ProvisionLog.__table__).where(ProvisionLog.uid == uid, *conditions))
            row = found.mappings().first()
        if row is None:
            raise NotFound("There is no such record.", code="LOG_NOT_FOUND")
        return cast(LogRow, dict(row))

    def each_log(self, actor: Actor, where: LogFilter = LogFilter()) -> Iterator[LogRow]:
        """The whole filtered log up to now, oldest first, as a stream."""
        actor.require(Permission.LOG_READ)
        with self.database.read() as session:
            newest = session.scalar(select(func.max(ProvisionLog.id))) or 0
            conditions = [*_log_conditions(session, actor, where), ProvisionLog.id <= newest]
        for part in self._in_parts(select(ProvisionLog.__table__).where(*conditions), ProvisionLog.id):
            yield from (cast(LogRow, dict(row)) for row in part)

    def verify_audit(
        self, actor: Actor, exported: Mapping[str, Any] | None = None, folder: Path | None = None
    ) -> ChainReport:
        """Walk the audit chain; `exported`: a head kept outside; `folder`: where moved records are."""
        actor.require(Permission.AUDIT_VERIFY)
        with self.database.read() as session:
            return archive.verify(session, exported, folder)

    def audit_head(self, actor: Actor) -> dict[str, Any]:
        actor.require(Permission.AUDIT_VERIFY)
        with self.database.read() as session:
            return chain.export_head(session)

    def operations_per_day(self, actor: Actor, days: int = 14) -> list[DayRow]:
        """Finished operations by day (UTC) and status; today is the last of the days."""
        actor.require(Permission.LOG_READ)
        today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        since = today - timedelta(days=days - 1)
        is_sqlite = self.database.is_sqlite  # PostgreSQL would take the day of its own time zone
        started = ProvisionLog.started_at if is_sqlite else func.timezone("UTC", ProvisionLog.started_at)
        day = func.date(started).label("day")
        with self.database.read() as session:
            conditions = [
                *_log_conditions(session, actor, LogFilter(since=since)),
                ProvisionLog.status.in_((LogStatus.SUCCESS, LogStatus.FAILED)),
            ]
            statement = select(day, ProvisionLog.status, func.count().label("operations")).where(*conditions)
            rows = session.execute(statement.group_by(day, ProvisionLog.status).order_by(day)).mappings()
            return [cast(DayRow, dict(row)) for row in rows]


def _log_conditions(session: Session, actor: Actor, where: LogFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if actor.domains is not None:
        names = select(Domain.name).where(*scope(actor, Domain.id))
        found.append(ProvisionLog.domain.in_(list(session.scalars(names))))
    pairs = (
        (ProvisionLog.operation, where.operation),
        (ProvisionLog.resource_type, where.resource_type),
        (ProvisionLog.resource_id, str(where.resource_id) if where.resource_id else None),
        (ProvisionLog.status, where.status),
        (ProvisionLog.operator, where.operator),
    )
    found += [column == value for column, value in pairs if value is not None]
    if where.since:
        found.append(ProvisionLog.started_at >= where.since)
    if where.until:
        found.append(ProvisionLog.started_at < where.until)
    if start := normal(where.search).strip().lower():
        name = ProvisionLog.resource_name
        found.append(or_(*(and_(name >= one, name < one + LAST) for one in dict.fromkeys((start, as_stored(start))))))
    return found
