"""What all services do alike: one transaction that changes rows and records what is wanted, rows found and locked,
and the push that follows."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provision.audit import chain
from provision.audit.chain import Finish, Subject
from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, Permission, Role
from provision.core.errors import Conflict, NotFound
from provision.core.texts import N_
from provision.storage.database import Database
from provision.storage.models import Alias, ApiToken, Domain, LogStatus, Mailbox, Operator, Server, utc_now
from provision.sync.engine import Sync
from provision.sync.progress import pending_logs
from provision.sync.work import item_of

P = ParamSpec("P")
R = TypeVar("R")
Found = TypeVar("Found", Mailbox, Alias, Domain, Server, Operator, ApiToken)
Synced = TypeVar("Synced", Mailbox, Alias)
HIDDEN = "***"
GONE = N_(
    {
        "mailbox": "This mailbox does not exist any more.",
        "alias": "This alias does not exist any more.",
        "domain": "This domain does not exist any more.",
        "server": "This server does not exist any more.",
        "operator": "This operator does not exist any more.",
        "api_token": "This token does not exist any more.",
    }
)


def operation(
    name: Operation,
) -> Callable[[Callable[Concatenate[Any, Actor, P], R]], Callable[Concatenate[Any, Actor, P], R]]:
    """Mark a public method of a service: a denial of it is recorded under this name before it is raised on."""

    def mark(method: Callable[Concatenate[Any, Actor, P], R]) -> Callable[Concatenate[Any, Actor, P], R]:
        @wraps(method)
        def call(self: Any, actor: Actor, *args: P.args, **kwargs: P.kwargs) -> R:
            with chain.denials(self.database, actor, name):
                return method(self, actor, *args, **kwargs)

        call.operation = name  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return mark


@contextmanager
def writing(database: Database) -> Iterator[Session]:
    """One transaction. Two that make the same address at once: the second is told so."""
    try:
        with database.write() as session:
            yield session
            session.flush()
    except IntegrityError:
        raise Conflict(
            "Somebody else has just made the same entry; look at the list again.", code="DUPLICATE"
        ) from None


@dataclass(slots=True)
class Delivery:
    """Pushes what was just changed, for somebody who waits: within the budget of one page; the jobs do the rest.

    `enabled` False: all of it is left to the jobs.
    """

    database: Database
    sync: Sync
    budget_seconds: float
    enabled: bool = True

    def push(self, server_ids: Iterable[int], *, ignore_backoff: bool = False) -> None:
        deadline = time.monotonic() + self.budget_seconds
        for server_id in sorted(set(server_ids)) if self.enabled else ():
            left = deadline - time.monotonic()
            if left > 0:
                self.sync.push_within(server_id, left, ignore_backoff=ignore_backoff)

    def pushed(self, row: Synced) -> Synced:
        """Deliver, and the row as it is then; a delivered tombstone is returned as it was."""
        self.push([row.server_id])
        with self.database.read() as session:
            now = session.get(type(row), row.id) or row
        now.log_uid, now.removed = row.log_uid, row.removed
        return now


# ---- records -------------------------------------------------------------------------------


def intend(
    session: Session,
    actor: Actor,
    name: Operation,
    rows: Sequence[Mailbox | Alias],
    payload: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]],
) -> None:
    """The rows changed as wanted, and must now reach the mail server. `payload`: the same for all, or of each row."""
    session.flush()
    items = [(subject_of(row), payload(row) if callable(payload) else payload) for row in rows]
    for row, uid in zip(rows, chain.record_intents(session, actor, name, items), strict=True):
        row.log_uid = uid


def give_up(session: Session, rows: Sequence[Mailbox | Alias], reason: str) -> None:
    """Finish the records of what was wanted before and will never reach the mail server now."""
    items = [item_of(row) for row in rows]
    finishes = [Finish(uid, LogStatus.FAILED, error=reason) for _, uid in pending_logs(session, items)]
    chain.record_outcomes(session, finishes)


def done(
    session: Session, actor: Actor, name: Operation, subjects: Sequence[Subject], payload: Mapping[str, Any]
) -> list[UUID]:
    """Something that needs no mail server; returns the ids of its records."""
    session.flush()
    return chain.record_done(session, actor, name, subjects, payload)


def want(row: Mailbox | Alias) -> None:
    """The row's wanted state has changed: it is due now, whatever became of earlier tries."""
    row.generation += 1
    row.attempts, row.next_attempt_at, row.error, row.error_code = 0, None, None, None
    touch(row)


def touch(row: Any) -> None:
    row.version += 1
    row.updated_at = utc_now()


def subject_of(row: Mailbox | Alias) -> Subject:
    domain = row.address.rpartition("@")[2]
    return Subject(row.__tablename__, row.uid, row.address, domain, row.server_id, row.generation)


# ---- finding -------------------------------------------------------------------------------


def find(session: Session, table: type[Found], uid: UUID) -> Found:
    """One row, locked for this transaction. Raises: NotFound."""
    row: Found | None = session.scalar(select(table).where(table.uid == uid).with_for_update(of=table))
    if row is None:
        what = table.__tablename__
        raise NotFound(GONE[what], code=f"{what.removeprefix('api_').upper()}_NOT_FOUND")
    return row


def find_writable(session: Session, actor: Actor, permission: Permission, table: type[Synced], uid: UUID) -> Synced:
    """The same, if the actor may change it. Raises: AccessDenied, NotFound."""
    actor.require(permission)
    row = find(session, table, uid)
    actor.require(permission, row)
    require_rank(session, actor, [row.address])
    return row


def domain_by_name(session: Session, name: str) -> Domain:
    """Raises: NotFound."""
    domain = session.scalar(select(Domain).where(Domain.name == name))
    if domain is None:
        raise NotFound(f"The domain {name} is not set up here; add it first.", code="DOMAIN_NOT_FOUND", domain=name)
    return domain


def require_rank(session: Session, actor: Actor, taken: Iterable[str]) -> None:
    """Nobody takes or changes an address at which an operator who outranks them gets their mail: a mailbox or an alias,
    also with `+something`, which is delivered there as long as it is nobody's own. Raises: AccessDenied."""
    holders = select(Operator.email, Operator.role).where(Operator.email.is_not(None), Operator.enabled.is_(True))
    roles = {email: Role(role) for email, role in session.execute(holders).tuples() if email}
    for address in taken:
        plain = addresses.without_extension(address)
        actor.require_rank(roles.get(address) or roles.get(plain), address)
