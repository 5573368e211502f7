"""Who is at the dashboard: passwords of operators, sessions, and locks against guessing.

A session is a random token in the browser; the database holds its SHA-256 and may end it at any moment. An unknown
name, a wrong password and a disabled operator cannot be told apart, neither by the answer nor by the time it takes.
"""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import bcrypt
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, selectinload

from provision.audit import chain
from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core.access import Actor, Permission, Role
from provision.core.errors import AccessDenied, NotFound, NotSignedIn, WeakPassword
from provision.core.letters import normal
from provision.core.passwords import PasswordRules, check_password
from provision.core.secret import Secret
from provision.settings.config import Settings
from provision.settings.policy import in_force
from provision.storage.database import Database
from provision.storage.models import AdminSession, Operator, SignInGuard, utc_now
from provision.storage.trouble import DatabaseUnavailable

NOBODY = "$2b${:02}$C6UzMDM.H6dfI/f/IKcEeO7ZUqMZpGzBXEtDQMQyJ3xTJvSsgLNyK"  # nobody's; costs as much as a real one
UNKNOWN = "(unknown name)"  # people type their password there; so what was typed is not recorded
SEEN_SECONDS = 60  # how exactly `last_seen_at` is kept
FIRST_ADMIN = "admin"
CLOCKS_DIFFER = timedelta(minutes=1)  # of several processes, by less


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A living session. `actor` is what they may do now, whatever it was when they signed in."""

    actor: Actor
    session_id: int
    operator_uid: UUID
    display_name: str
    language: str | None
    must_change_password: bool
    expires_at: datetime

    def may(self, permission: Permission) -> bool:
        return self.actor.may(permission)


def actor_of(operator: Operator, ip: str | None = None) -> Actor:
    """The operator as somebody who asks. A SuperAdmin has all domains; a Viewer without any has all, too."""
    role = Role(operator.role)
    own = frozenset(domain.id for domain in operator.domains)
    everywhere = role is Role.SUPER_ADMIN or (role is Role.VIEWER and not own)
    return Actor(operator.username, role, operator.id, None if everywhere else own, ip)


class SignIn:
    """The front door for signing in and out."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def actor(self, username: str) -> Actor:
        """An operator, for whoever may act as them without signing in. Raises: NotFound, AccessDenied."""
        with self.database.read() as session:
            operator = session.scalar(select(Operator).where(Operator.username == username.strip().lower()))
            if operator is None:
                raise NotFound(f"There is no operator called {username}.", code="OPERATOR_NOT_FOUND")
            if not operator.enabled:
                raise AccessDenied(f"The operator {operator.username} is disabled.")
            return actor_of(operator)

    # ---- signing in ------------------------------------------------------------------------

    def check(self, username: str, password: Secret, ip: str | None) -> UUID:
        """The operator whose name and password these are. Raises: NotSignedIn WRONG_CREDENTIALS or LOCKED.

        A try is counted before it is made, so that many at once are no way around the lock.
        """
        name = "".join(c for c in username.strip().lower()[:80] if c.isprintable())
        limits = {f"name:{name}": self.settings.sign_in_attempts}
        if ip:
            limits[f"ip:{ip}"] = self.settings.sign_in_attempts_per_ip
        with self.database.write() as session:
            tries = {key: self._count(session, key, limit) for key, limit in limits.items()}
            operator = session.scalar(select(Operator).where(Operator.username == name))
        nobody = NOBODY.format(self.settings.operator_hash_cost)
        matches = _matches(password, operator.password_hash if operator else nobody)
        with self.database.write() as session:
            if operator and operator.enabled and matches:
                _forgive(session, name, ip)
                return operator.uid
            self._record_failure(session, operator, ip, [key for key in limits if tries[key] >= limits[key]])
        raise NotSignedIn("The user name or the password is wrong.", code="WRONG_CREDENTIALS")

    def _count(self, session: Session, key: str, limit: int) -> int:
        """One more try for this name or address; failures count for a while. Raises: NotSignedIn LOCKED."""
        now, window = utc_now(), self._window
        # Two first tries at once: the database lets one of them in, and the other waits for it.
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(insert(SignInGuard).values(key=key, failures=0, since=now).on_conflict_do_nothing())
        guard = session.get_one(SignInGuard, key, with_for_update=True)
        if self._is_over(guard, now):
            guard.failures, guard.since, guard.locked_until = 0, now, None
        if guard.locked_until or guard.failures >= limit:
            until = guard.locked_until or now + window
            minutes = -(-int((until - now).total_seconds()) // 60)
            message = f"Too many failed sign-ins. Try again in {minutes} minutes."
            raise NotSignedIn(message, code="LOCKED", minutes=minutes)
        guard.failures += 1
        return guard.failures

    def _is_over(self, guard: SignInGuard, now: datetime) -> bool:
        """Also what was counted or locked while the clock was ahead: it has no end that can be waited for."""
        if guard.since > now + CLOCKS_DIFFER:
            return True
        if guard.locked_until:
            return not now < guard.locked_until <= now + self._window + CLOCKS_DIFFER
        return guard.since < now - self._window

    @property
    def _window(self) -> timedelta:
        return timedelta(minutes=self.settings.sign_in_lock_minutes)

    def _record_failure(self, session: Session, operator: Operator | None, ip: str | None, full: list[str]) -> None:
        """Write it down, and lock the name or address that has had its tries."""
        now = utc_now()
        actor = actor_of_name(operator, ip)
        session.execute(delete(SignInGuard).where(SignInGuard.since < now - 2 * self._window))
        _record(session, actor, Operation.OPERATOR_SIGN_IN, operator, error="WRONG_CREDENTIALS")
        for key in full:
            until = now + self._window
            session.execute(update(SignInGuard).where(SignInGuard.key == key).values(locked_until=until))
            _record(session, actor, Operation.OPERATOR_LOCK, operator, by=key.partition(":")[0])
            self._show_lock(session, operator, key, until)

    @staticmethod
    def _show_lock(session: Session, operator: Operator | None, key: str, until: datetime) -> None:
        """For the list of operators."""
        if operator and key.startswith("name:"):
            session.execute(update(Operator).where(Operator.id == operator.id).values(locked_until=until))

    def open_session(self, operator_uid: UUID, ip: str | None, user_agent: str = "") -> Secret:
        """Begin a session, and the token for the browser."""
        token, now = Secret(secrets.token_urlsafe(32)), utc_now()
        with self.database.write() as session:
            operator = _operator(session, operator_uid)
            operator.last_login_at, operator.locked_until = now, None
            row = AdminSession(
                token_hash=_digest(token),
                operator_id=operator.id,
                ip=ip,
                user_agent=user_agent[:200],
                expires_at=now + timedelta(hours=self.settings.session_max_hours),
            )
            session.add(row)
            session.execute(delete(AdminSession).where(AdminSession.expires_at < now - timedelta(days=30)))
            _record(session, actor_of(operator, ip), Operation.OPERATOR_SIGN_IN, operator)
        return token

    # ---- being signed in -------------------------------------------------------------------

    def current(self, token: Secret, ip: str | None = None, *, seen: bool = True) -> SignedIn | None:
        """Who holds this token, or None. `seen` False: a page that refreshes itself, which is no sign of life."""
        now = utc_now()
        statement = (
            select(AdminSession)
            .where(AdminSession.token_hash == _digest(token), AdminSession.revoked_at.is_(None))
            .options(selectinload(AdminSession.operator).selectinload(Operator.domains))
        )
        with self.database.read() as session:
            row = session.scalar(statement)
        if row is None or not self._lives(row, now):
            return None
        exactly = min(SEEN_SECONDS, 6 * self.settings.session_idle_minutes)
        if seen and abs((now - row.last_seen_at).total_seconds()) > exactly:
            with suppress(DatabaseUnavailable), self.database.write() as session:  # nobody waits for a busy one
                session.execute(update(AdminSession).where(AdminSession.id == row.id).values(last_seen_at=now))
        operator = row.operator
        return SignedIn(
            actor_of(operator, ip or row.ip),
            row.id,
            operator.uid,
            operator.display_name or operator.username,
            operator.language,
            operator.must_change_password,
            row.expires_at,
        )

    def _lives(self, row: AdminSession, now: datetime) -> bool:
        """One that was made while the clock was ahead has no end that can be waited for, and is over."""
        idle = timedelta(minutes=self.settings.session_idle_minutes)
        longest = timedelta(hours=self.settings.session_max_hours) + idle
        ends = now < row.expires_at <= now + longest and now - row.last_seen_at < idle
        return bool(row.operator.enabled and ends)

    def sign_out(self, who: SignedIn) -> None:
        """End this session, in every tab that uses it."""
        with self.database.write() as session:
            _revoke(session, AdminSession.id == who.session_id)
            _record(session, who.actor, Operation.OPERATOR_SIGN_OUT, _operator(session, who.operator_uid))

    def change_password(self, who: SignedIn, old: Secret, new: Secret) -> None:
        """Set one's own password; all their other sessions end. Raises: NotSignedIn, WeakPassword."""
        self.check(who.actor.name, old, who.actor.ip)
        if old == new:
            raise WeakPassword("The new password is the old one.")
        with self.database.read() as session:
            rules = in_force(session, self.settings).passwords
        hashed = hash_operator_password(new, rules, self.settings.operator_hash_cost)
        with self.database.write() as session:
            operator = _operator(session, who.operator_uid)
            operator.password_hash, operator.must_change_password = hashed, False
            operator.version += 1
            operator.updated_at = utc_now()
            _revoke(session, AdminSession.operator_id == operator.id, AdminSession.id != who.session_id)
            _record(session, who.actor, Operation.OPERATOR_CHANGE_PASSWORD, operator)

    def set_language(self, who: SignedIn, language: str) -> None:
        with self.database.write() as session:
            session.execute(update(Operator).where(Operator.uid == who.operator_uid).values(language=language[:5]))

    def record_denial(self, who: SignedIn, permission: Permission) -> None:
        """They asked on a page for what they may not, or may not any more."""
        with suppress(AccessDenied), chain.denials(self.database, who.actor, Operation.PAGE_OPEN):
            who.actor.require(permission)


# ---- shared with the services --------------------------------------------------------------


def hash_operator_password(password: Secret, rules: PasswordRules, cost: int) -> str:
    """bcrypt, which streamlit-authenticator verifies; 2 to the power of `cost` rounds. Raises: WeakPassword."""
    kept = check_password(password, rules)
    return bcrypt.hashpw(kept.reveal().encode(), bcrypt.gensalt(cost)).decode()


def clear_lock(session: Session, username: str) -> None:
    """Forget this name's failures."""
    session.execute(delete(SignInGuard).where(SignInGuard.key == f"name:{username}"))


def _forgive(session: Session, name: str, ip: str | None) -> None:
    """It was the right password: the name starts anew, and the address has this try back."""
    clear_lock(session, name)
    if ip:
        own = SignInGuard.key == f"ip:{ip}"
        session.execute(update(SignInGuard).where(own).values(failures=SignInGuard.failures - 1))


def end_sessions(session: Session, operator_id: int) -> None:
    _revoke(session, AdminSession.operator_id == operator_id)


def actor_of_name(operator: Operator | None, ip: str | None) -> Actor:
    """Somebody who claims to be this operator, and may nothing."""
    if operator is None:
        return Actor(UNKNOWN, Role.VIEWER, domains=frozenset(), ip=ip)
    return Actor(operator.username, Role.VIEWER, operator.id, frozenset(), ip)


def _operator(session: Session, uid: UUID) -> Operator:
    row = session.scalar(select(Operator).where(Operator.uid == uid).options(selectinload(Operator.domains)))
    if row is None:
        raise NotFound("This operator does not exist any more.", code="OPERATOR_NOT_FOUND")
    return row


def _revoke(session: Session, *conditions: object) -> None:
    statement = update(AdminSession).where(AdminSession.revoked_at.is_(None), *conditions)  # type: ignore[arg-type]
    session.execute(statement.values(revoked_at=utc_now()))


def _record(
    session: Session, actor: Actor, name: Operation, operator: Operator | None, error: str | None = None, **payload: str
) -> None:
    session.flush()
    subject = Subject("operator", operator.uid, operator.username) if operator else Subject("operator", name=UNKNOWN)
    chain.record_done(session, actor, name, [subject], payload, error=error)


def _matches(password: Secret, password_hash: str) -> bool:
    """Always one bcrypt of each form, whatever was typed: as passwords are kept, and as they once were."""
    text = password.reveal()
    forms = dict.fromkeys((normal(text), text))
    return any(_is_of(form, password_hash) for form in forms)


def _is_of(text: str, password_hash: str) -> bool:
    """bcrypt refuses more than 72 bytes."""
    typed = text.encode(errors="replace")
    usable = len(typed) <= 72 and b"\0" not in typed
    return bcrypt.checkpw(typed if usable else b"x", password_hash.encode()) and usable


def _digest(token: Secret) -> str:
    return hashlib.sha256(token.reveal().encode(errors="replace")).hexdigest()
