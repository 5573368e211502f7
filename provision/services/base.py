"""What all parts of the Provisioner share: permission denied is recorded, intents, idempotency, delivery."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provision.audit import chain
from provision.audit.chain import Finish, Subject
from provision.core.access import Actor, Role
from provision.core.errors import Conflict, InvalidInput, NotFound
from provision.core.texts import N_
from provision.settings.config import Settings
from provision.settings.policy import Policy, in_force
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import Alias, Domain, IdempotencyKey, LogStatus, Mailbox, Operator, utc_now
from provision.sync.engine import Sync
from provision.sync.progress import pending_logs
from provision.sync.work import item_of

P = ParamSpec("P")
R = TypeVar("R")
Synced = TypeVar("Synced", Mailbox, Alias)
HIDDEN = "***"
GONE = N_(
    {
        "mailbox": "This mailbox does not exist any more.",
        "alias": "This alias does not exist any more.",
        "domain": "This domain does not exist any more.",
        "server": "This server does not exist any more.",
        "operator": "This operator does not exist any more.",
        "token": "This token does not exist any more.",
    }
)
MAX_QUOTA_BYTES = 1 << 50  # 1 PiB: above it is a slip of the keyboard


def operation(
    name: str,
) -> Callable[[Callable[Concatenate[Any, Actor, P], R]], Callable[Concatenate[Any, Actor, P], R]]:
    """Mark a public method: a denial of it is recorded under this name before it is raised on."""

    def mark(method: Callable[Concatenate[Any, Actor, P], R]) -> Callable[Concatenate[Any, Actor, P], R]:
        @wraps(method)
        def call(self: Any, actor: Actor, *args: P.args, **kwargs: P.kwargs) -> R:
            with chain.denials(self.database, actor, name):
                return method(self, actor, *args, **kwargs)

        call.operation = name  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return mark


class Service:
    """State and helpers of every part. `deliver`: push within the call; otherwise the jobs engine does it."""

    def __init__(
        self, database: Database, sealer: Sealer, settings: Settings, sync: Sync, *, deliver: bool = True
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.settings = settings
        self.sync = sync
        self.deliver = deliver

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """One transaction. Two that make the same address at once: the second is told so."""
        try:
            with self.database.write() as session:
                yield session
                session.flush()
        except IntegrityError:
            raise Conflict(
                "Somebody else has just made the same entry; look at the list again.", code="DUPLICATE"
            ) from None

    def _push(self, server_ids: Iterable[int], *, ignore_backoff: bool = False) -> None:
        """Deliver within the budget of one page; what does not fit in is left to the jobs."""
        deadline = time.monotonic() + self.settings.page_budget_seconds
        for server_id in sorted(set(server_ids)) if self.deliver else ():
            left = deadline - time.monotonic()
            if left > 0:
                self.sync.push_within(server_id, left, ignore_backoff=ignore_backoff)

    def _pushed(self, row: Synced) -> Synced:
        """Deliver, and the row as it is then; a delivered tombstone is returned as it was."""
        self._push([row.server_id])
        with self.database.read() as session:
            now = session.get(type(row), row.id) or row
        now.log_uid = row.log_uid
        return now

    def _policy(self, session: Session) -> Policy:
        return in_force(session, self.settings)

    # ---- records ---------------------------------------------------------------------------

    def _intend(
        self,
        session: Session,
        actor: Actor,
        name: str,
        rows: Sequence[Mailbox | Alias],
        payloads: Sequence[Mapping[str, Any]],
    ) -> None:
        """The rows changed as wanted, and must now reach the mail server."""
        session.flush()
        items = [(subject_of(row), payload) for row, payload in zip(rows, payloads, strict=True)]
        for row, uid in zip(rows, chain.record_intents(session, actor, name, items), strict=True):
            row.log_uid = uid

    def _give_up(self, session: Session, rows: Sequence[Mailbox | Alias], reason: str) -> None:
        """Finish the records of what was wanted before and will never reach the mail server now."""
        items = [item_of(row) for row in rows]
        finishes = [Finish(uid, LogStatus.FAILED, error=reason) for _, uid in pending_logs(session, items)]
        chain.record_outcomes(session, finishes)

    def _done(
        self, session: Session, actor: Actor, name: str, subjects: Sequence[Subject], payload: Mapping[str, Any]
    ) -> list[UUID]:
        """Something that needs no mail server; returns the ids of its records."""
        session.flush()
        return chain.record_done(session, actor, name, subjects, payload)

    @staticmethod
    def _want(row: Mailbox | Alias) -> None:
        """The row's wanted state has changed: it is due now, whatever became of earlier tries."""
        row.generation += 1
        row.attempts, row.next_attempt_at, row.error, row.error_code = 0, None, None, None
        touch(row)

    # ---- finding ---------------------------------------------------------------------------

    def _domain_by_name(self, session: Session, name: str) -> Domain:
        domain = session.scalar(select(Domain).where(Domain.name == name))
        if domain is None:
            raise NotFound(f"The domain {name} is not set up here; add it first.", code="DOMAIN_NOT_FOUND", domain=name)
        return domain

    def _find(self, session: Session, table: type[Any], uid: UUID, what: str) -> Any:
        """One row, locked for this transaction. Raises: NotFound."""
        row = session.scalar(select(table).where(table.uid == uid).with_for_update(of=table))
        if row is None:
            raise NotFound(GONE[what], code=f"{what.upper()}_NOT_FOUND")
        return row

    @staticmethod
    def ranks(session: Session) -> dict[str, Role]:
        """The roles of the operators, by the address of their own mailbox."""
        holders = select(Operator.email, Operator.role).where(Operator.email.is_not(None), Operator.enabled.is_(True))
        return {email: Role(role) for email, role in session.execute(holders).tuples() if email}

    @staticmethod
    def _check_version(row: Any, expected: int | None, **theirs: Any) -> None:
        """Optimistic lock: what the person looked at must still be true. Raises: Conflict with the values now and
        their version."""
        if expected is not None and row.version != expected:
            now = ", ".join(f"{name}: {value}" for name, value in theirs.items())
            raise Conflict(
                f"Somebody else has changed this meanwhile (now {now}). Nothing was saved.",
                code="EDIT_CONFLICT",
                current=theirs,
                version=row.version,
            )

    # ---- idempotency -----------------------------------------------------------------------

    def _replayed(self, session: Session, actor: Actor, name: str, key: str | None, request: Any) -> list[str] | None:
        """The ids made by an earlier call with this key, or None. Raises: Conflict for another request."""
        earlier = self._earlier(session, actor, name, key, request)
        return earlier.resource_ids if earlier else None

    @staticmethod
    def _earlier(session: Session, actor: Actor, name: str, key: str | None, request: Any) -> IdempotencyKey | None:
        """What is kept of an earlier call with this key."""
        found = session.get(IdempotencyKey, f"{actor.name}:{key}") if key is not None else None
        if found and (found.operation, found.request_digest) != (name, _digest(request)):
            raise Conflict("This idempotency key was used for another request.", code="IDEMPOTENCY_CONFLICT")
        return found

    def _remember(
        self,
        session: Session,
        actor: Actor,
        name: str,
        key: str | None,
        request: Any,
        ids: Iterable[UUID],
        refusals: Sequence[dict[str, Any]] = (),
    ) -> None:
        if key is not None:
            row = IdempotencyKey(
                key=f"{actor.name}:{key}",
                operation=name,
                request_digest=_digest(request),
                resource_ids=[str(uid) for uid in ids],
                refusals=list(refusals),
            )
            session.add(row)


def touch(row: Any) -> None:
    row.version += 1
    row.updated_at = utc_now()


def subject_of(row: Mailbox | Alias) -> Subject:
    resource = "mailbox" if isinstance(row, Mailbox) else "alias"
    return Subject(resource, row.uid, row.address, row.address.rpartition("@")[2], row.server_id, row.generation)


def check_quota(value: int) -> int:
    if not 0 <= value <= MAX_QUOTA_BYTES:
        raise InvalidInput("A quota is 0 (none) or a size up to 1 PiB.", code="INVALID_QUOTA")
    return value


def check_display_name(name: str) -> str:
    if len(name) > 200 or not name.isprintable():
        raise InvalidInput("A display name has up to 200 visible characters.", code="INVALID_NAME")
    return name.strip()


def check_description(text: str) -> str:
    if len(text) > 500 or not text.isprintable():
        raise InvalidInput("A description has up to 500 visible characters.")
    return text.strip()


def _digest(request: Any) -> str:
    """Without secrets: they are salted or random, and a repeated call may carry a new one."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()
