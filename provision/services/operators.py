"""The people who sign in here: roles, domains, passwords, locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, Permission, Role
from provision.core.errors import Conflict, InvalidInput
from provision.core.passwords import generate_password
from provision.core.secret import Secret
from provision.identity.sign_in import clear_lock, end_sessions, hash_operator_password
from provision.services.checks import check_display_name, check_version
from provision.services.idempotency import made_earlier, remember
from provision.services.writing import HIDDEN, domain_by_name, done, find, operation, touch, writing
from provision.settings.config import Settings
from provision.settings.policy import in_force
from provision.storage.database import Database
from provision.storage.models import Domain, Operator


@dataclass(frozen=True, slots=True)
class Operators:
    database: Database
    settings: Settings

    @operation(Operation.OPERATOR_CREATE)
    def create(
        self,
        actor: Actor,
        username: str,
        role: str,
        *,
        display_name: str = "",
        email: str | None = None,
        domains: Sequence[str] = (),
        password: Secret | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Operator, Secret | None]:
        """Add an operator; without a password a one-time one is made and returned, this once only."""
        actor.require(Permission.OPERATOR_WRITE)
        name, checked_role = _check_username(username), _check_role(role)
        request = {"username": name, "role": checked_role, "domains": sorted(domains), "email": email}
        call = (actor, Operation.OPERATOR_CREATE, idempotency_key, request)
        with writing(self.database) as session:
            if before := made_earlier(session, *call):
                return find(session, Operator, before), None
            _refuse_taken_name(session, name)
            own = _free_email(session, email)
            hashed, made = self._hashed(session, password)
            row = Operator(
                username=name,
                role=checked_role,
                display_name=check_display_name(display_name),
                must_change_password=made is not None,
                email=own,
                password_hash=hashed,
                domains=_domains(session, domains),
            )
            session.add(row)
            session.flush()
            done(session, actor, Operation.OPERATOR_CREATE, [_subject(row)], {**request, "password": HIDDEN})
            remember(session, *call, [row.uid])
        return row, made

    @operation(Operation.OPERATOR_EDIT)
    def edit(
        self,
        actor: Actor,
        uid: UUID,
        *,
        role: str | None = None,
        domains: Sequence[str] | None = None,
        display_name: str | None = None,
        email: str | None = None,
        enabled: bool | None = None,
        expected_version: int | None = None,
    ) -> Operator:
        """Change what is given; an empty `email` clears it. The last SuperAdmin stays one."""
        actor.require(Permission.OPERATOR_WRITE)
        with writing(self.database) as session:
            _lock_super_admins(session)
            row = find(session, Operator, uid)
            check_version(row, expected_version, role=row.role, enabled=row.enabled)
            was_super_admin = row.role == Role.SUPER_ADMIN and row.enabled
            if role is not None:
                row.role = _check_role(role)
            if enabled is not None:
                row.enabled = enabled
                if not enabled:
                    end_sessions(session, row.id)
            if domains is not None:
                row.domains = _domains(session, domains)
            if display_name is not None:
                row.display_name = check_display_name(display_name)
            if email is not None:
                row.email = _free_email(session, email, row.id)
            touch(row)
            session.flush()
            if was_super_admin:
                _require_super_admin(session)
            done(session, actor, Operation.OPERATOR_EDIT, [_subject(row)], _payload(row))
        return row

    @operation(Operation.OPERATOR_SET_PASSWORD)
    def set_password(self, actor: Actor, uid: UUID, password: Secret | None = None) -> tuple[Operator, Secret | None]:
        """A new password, and an end of any lock; without one a one-time password is made and returned."""
        actor.require(Permission.OPERATOR_WRITE)
        with writing(self.database) as session:
            hashed, made = self._hashed(session, password)
            row = find(session, Operator, uid)
            row.password_hash = hashed
            row.must_change_password = made is not None
            row.failed_logins, row.locked_until = 0, None
            clear_lock(session, row.username)
            end_sessions(session, row.id)
            touch(row)
            payload = {"password": HIDDEN, "generated": made is not None}
            done(session, actor, Operation.OPERATOR_SET_PASSWORD, [_subject(row)], payload)
        return row, made

    @operation(Operation.OPERATOR_UNLOCK)
    def unlock(self, actor: Actor, uid: UUID) -> Operator:
        """End a lock that failed sign-ins made."""
        actor.require(Permission.OPERATOR_WRITE)
        with writing(self.database) as session:
            row = find(session, Operator, uid)
            row.failed_logins, row.locked_until = 0, None
            clear_lock(session, row.username)
            touch(row)
            done(session, actor, Operation.OPERATOR_UNLOCK, [_subject(row)], {})
        return row

    @operation(Operation.OPERATOR_END_SESSIONS)
    def end_sessions(self, actor: Actor, uid: UUID) -> Operator:
        """Sign an operator out everywhere."""
        actor.require(Permission.OPERATOR_WRITE)
        with writing(self.database) as session:
            row = find(session, Operator, uid)
            end_sessions(session, row.id)
            done(session, actor, Operation.OPERATOR_END_SESSIONS, [_subject(row)], {})
        return row

    def _hashed(self, session: Session, password: Secret | None) -> tuple[str, Secret | None]:
        """The hash of this password; without one of a one-time password, which is returned with it."""
        rules = in_force(session, self.settings).passwords
        given = password or generate_password(rules)
        hashed = hash_operator_password(given, rules, self.settings.operator_hash_cost)
        return hashed, None if password else given


def _domains(session: Session, names: Sequence[str]) -> list[Domain]:
    return [domain_by_name(session, addresses.normalise_domain(name)) for name in names]


def _subject(row: Operator) -> Subject:
    return Subject("operator", row.uid, row.username)


def _payload(row: Operator) -> dict[str, Any]:
    return {
        "role": row.role,
        "domains": sorted(domain.name for domain in row.domains),
        "enabled": row.enabled,
        "email": row.email,
        "display_name": row.display_name,
    }


def _check_username(username: str) -> str:
    name = username.strip().lower()
    if not 1 <= len(name) <= 80 or not all(c.isalnum() or c in "._-@" for c in name):
        raise InvalidInput("A user name has letters, digits and . _ - @ only.", code="INVALID_NAME")
    return name


def _check_role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise InvalidInput(f"There is no role {role!r}; there are: {', '.join(Role)}.", code="INVALID_ROLE") from None


def _refuse_taken_name(session: Session, name: str) -> None:
    if session.scalar(select(Operator.id).where(Operator.username == name)):
        raise Conflict(f"An operator called {name} exists already.", code="DUPLICATE_OPERATOR")


def _free_email(session: Session, email: str | None, own_id: int | None = None) -> str | None:
    """An operator's own mailbox is theirs alone: it decides whose password nobody below them may set."""
    if not email:
        return None
    address = addresses.normalise(email)
    holder = session.scalar(select(Operator).where(Operator.email == address))
    if holder and holder.id != own_id:
        raise Conflict(f"{address} is the address of {holder.username} already.", code="DUPLICATE_OPERATOR")
    return address


def _lock_super_admins(session: Session) -> None:
    """Two who take each other's role away at once: the second finds that they are the last."""
    chosen = select(Operator.id).where(Operator.role == Role.SUPER_ADMIN).order_by(Operator.id)
    session.execute(chosen.with_for_update())


def _require_super_admin(session: Session) -> None:
    condition = (Operator.role == Role.SUPER_ADMIN, Operator.enabled.is_(True))
    if not session.scalar(select(func.count()).select_from(Operator).where(*condition)):
        raise Conflict(
            "Nobody would be left who may do everything; make another SuperAdmin first.", code="LAST_SUPER_ADMIN"
        )
