"""API tokens: programs that may call the API, with scopes, domains, networks and an end.

A token is random and shown once; the database holds its SHA-256. Every call looks it up, so that it is revoked at once.
What its program does is recorded under the name `token:<name>`.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, TypedDict, cast
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import selectinload
from uuid6 import uuid7

from provision.audit import chain
from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core.access import ROLES, Actor, Permission, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput, NotFound, NotSignedIn
from provision.core.networks import is_within
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.services.checks import check_name
from provision.services.writing import domain_by_name, done, find, operation, writing
from provision.storage.database import Database
from provision.storage.models import ApiToken, Domain, utc_now

PREFIX = "postroom_"
SEEN_SECONDS = 60  # how exactly `last_used_at` is kept
NEVER = frozenset({Permission.OPERATOR_READ, Permission.OPERATOR_WRITE, Permission.TOKEN_READ, Permission.TOKEN_WRITE})
SCOPES = tuple(permission for permission in Permission if permission not in NEVER)


class TokenRow(TypedDict):
    """A token as it is listed, never its hash. `everywhere`: in all domains, also those to come."""

    uid: UUID
    name: str
    scopes: list[str]
    everywhere: bool
    networks: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_ip: str | None
    domains: list[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that calls, and its token."""

    actor: Actor
    token: TokenRow


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens, and where the API asks who calls."""

    database: Database

    @operation(Operation.TOKEN_CREATE)
    def create(
        self,
        actor: Actor,
        name: str,
        scopes: Iterable[str],
        *,
        domains: Sequence[str] | None = None,
        networks: Sequence[str] = (),
        expires_at: datetime | None = None,
    ) -> tuple[ApiToken, Secret]:
        """Make a token, and the token itself, this once only. `domains` None: all. Raises: InvalidInput, Conflict."""
        actor.require(Permission.TOKEN_WRITE)
        token = Secret(PREFIX + secrets.token_urlsafe(32))
        row = ApiToken(
            uid=uuid7(),
            name=check_name(name, 70),
            token_hash=_digest(token),
            everywhere=domains is None,
            scopes=_check_scopes(scopes, role_of(everywhere=domains is None)),
            networks=_check_networks(networks),
            expires_at=_check_end(expires_at),
            created_by=actor.name,
        )
        with writing(self.database) as session:
            if session.scalar(select(ApiToken.id).where(ApiToken.name == row.name)):
                raise Conflict(
                    f"There is or was a token called {row.name}; take another name, for the log speaks of it.",
                    code="DUPLICATE_TOKEN",
                )
            row.domains = [domain_by_name(session, domain) for domain in dict.fromkeys(domains or ())]
            if not row.everywhere and not row.domains:
                raise InvalidInput("Name at least one domain, or all.", code="NO_DOMAIN")
            session.add(row)
            done(session, actor, Operation.TOKEN_CREATE, [_subject(row)], _payload(row))
        return row, token

    @operation(Operation.TOKEN_REVOKE)
    def revoke(self, actor: Actor, uid: UUID) -> None:
        """End a token, from the next call on. What is revoked already stays so."""
        actor.require(Permission.TOKEN_WRITE)
        with writing(self.database) as session:
            row = find(session, ApiToken, uid)
            if row.revoked_at is None:
                row.revoked_at = row.updated_at = utc_now()
                row.version += 1
                done(session, actor, Operation.TOKEN_REVOKE, [_subject(row)], {})

    def tokens(self, actor: Actor) -> list[TokenRow]:
        """Every token by name, revoked ones too; never a hash."""
        actor.require(Permission.TOKEN_READ)
        statement = select(ApiToken).options(selectinload(ApiToken.domains)).order_by(ApiToken.name)
        with self.database.read() as session:
            return [shown(row) for row in session.scalars(statement)]

    def by_name(self, actor: Actor, name: str) -> TokenRow:
        for row in self.tokens(actor):
            if row["name"] == name:
                return row
        raise NotFound(f"There is no token called {name}.", code="TOKEN_NOT_FOUND")

    def record_denial(self, actor: Actor, denial: AccessDenied) -> None:
        """A program asked for what its token was not given."""
        chain.record_denial(self.database, actor, Operation.API_CALL, denial)

    # ---- calls -----------------------------------------------------------------------------

    def caller(self, token: Secret, ip: str | None) -> Caller:
        """Who calls with this token. Raises: NotSignedIn; AccessDenied from a network that it was not given."""
        statement = select(ApiToken).options(selectinload(ApiToken.domains))
        with self.database.read() as session:
            row = session.scalar(statement.where(ApiToken.token_hash == _digest(token)))
        now = utc_now()
        if row is None or row.revoked_at or (row.expires_at and row.expires_at <= now):
            raise NotSignedIn("This token is not known, was revoked, or has expired.", code="INVALID_TOKEN")
        if row.networks and not is_within(ip, [ip_network(network) for network in row.networks]):
            raise AccessDenied("This token may not be used from your network.", code="NETWORK_NOT_ALLOWED")
        if row.last_used_at is None or (now - row.last_used_at).total_seconds() > SEEN_SECONDS:
            self._note_use(row, now, ip)
        return Caller(actor_of(row, ip), shown(row))

    def _note_use(self, row: ApiToken, now: datetime, ip: str | None) -> None:
        with self.database.write() as session:
            used = {"last_used_at": now, "last_used_ip": ip}
            session.execute(update(ApiToken).where(ApiToken.id == row.id).values(**used))


def role_of(*, everywhere: bool) -> Role:
    """The most a token can be: with domains it is no more than a DomainAdmin, also where rank counts."""
    return Role.SUPER_ADMIN if everywhere else Role.DOMAIN_ADMIN


def actor_of(row: ApiToken, ip: str | None) -> Actor:
    domains = None if row.everywhere else frozenset(domain.id for domain in row.domains)
    role = role_of(everywhere=row.everywhere)
    return Actor(f"token:{row.name}", role, domains=domains, ip=ip, scopes=_with_reading(row.scopes))


def state(row: TokenRow) -> str:
    """One word: Active, Expired or Revoked."""
    if row["revoked_at"]:
        return "Revoked"
    return "Expired" if row["expires_at"] and row["expires_at"] <= utc_now() else "Active"


def shown(row: ApiToken) -> TokenRow:
    names = TokenRow.__annotations__.keys() - {"domains"}
    found = {**{name: getattr(row, name) for name in names}, "domains": sorted(_names(row.domains))}
    return cast(TokenRow, found)


def in_days(days: int | None) -> datetime | None:
    """The end of a token that lives so long from now; 0 or None: no end."""
    return utc_now() + timedelta(days=days) if days else None


def _with_reading(scopes: Iterable[str]) -> frozenset[Permission]:
    """Who may change a kind of thing may look at it, too."""
    given = frozenset(Permission(scope) for scope in scopes)
    reading = {Permission(f"{scope.partition(':')[0]}:read") for scope in given if scope != Permission.AUDIT_VERIFY}
    return given | reading


def _check_scopes(scopes: Iterable[str], role: Role) -> list[str]:
    given = sorted({scope.strip().lower() for scope in scopes})
    possible = {str(scope) for scope in SCOPES}
    unknown = [scope for scope in given if scope not in possible]
    if unknown or not given:
        what = N_(f"The scope {', '.join(unknown)} is not known") if unknown else N_("A token needs a scope")
        raise InvalidInput(f"{what}; there are: {', '.join(SCOPES)}.", code="INVALID_SCOPE")
    over = [scope for scope in given if scope not in ROLES[role]]
    if over:
        raise InvalidInput(f"{', '.join(over)} cannot be kept to some domains.", code="INVALID_SCOPE")
    return given


def _check_networks(networks: Iterable[str]) -> list[str]:
    found = []
    for text in networks:
        try:
            found.append(str(ip_network(text.strip())))
        except ValueError as error:
            raise InvalidInput(f"This is no network: {error}.", code="INVALID_NETWORK") from None
    return found


def _check_end(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= utc_now():
        raise InvalidInput("The end of a token must be in the future.", code="INVALID_EXPIRY")
    return expires_at


def _names(domains: Iterable[Domain]) -> list[str]:
    return [domain.name for domain in domains]


def _payload(row: ApiToken) -> dict[str, Any]:
    end = row.expires_at.isoformat() if row.expires_at else None
    return {
        "scopes": row.scopes,
        "domains": None if row.everywhere else sorted(_names(row.domains)),
        "networks": row.networks,
        "expires_at": end,
    }


def _subject(row: ApiToken) -> Subject:
    return Subject("token", row.uid, row.name)


def _digest(token: Secret) -> str:
    """A fast hash is enough for 256 random bits."""
    return hashlib.sha256(token.reveal().encode(errors="replace")).hexdigest()
