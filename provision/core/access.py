"""Who may do what. Pure: an Actor, the permission it needs, the thing it is about."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from provision.core.errors import AccessDenied, ForeignDomain


class Role(StrEnum):
    SUPER_ADMIN = "SuperAdmin"
    DOMAIN_ADMIN = "DomainAdmin"
    VIEWER = "Viewer"


class Permission(StrEnum):
    """`thing:verb`; each public method of a service asks for one, and again for each thing that it touches."""

    MAILBOX_READ = "mailbox:read"
    MAILBOX_WRITE = "mailbox:write"
    ALIAS_READ = "alias:read"
    ALIAS_WRITE = "alias:write"
    DOMAIN_READ = "domain:read"
    DOMAIN_WRITE = "domain:write"
    SERVER_READ = "server:read"
    SERVER_WRITE = "server:write"
    SYNC_READ = "sync:read"
    SYNC_PUSH = "sync:push"
    SYNC_PULL = "sync:pull"
    SYNC_FORCE = "sync:force"
    LOG_READ = "log:read"
    AUDIT_VERIFY = "audit:verify"
    OPERATOR_READ = "operator:read"
    OPERATOR_WRITE = "operator:write"
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"
    TOKEN_READ = "token:read"
    TOKEN_WRITE = "token:write"


READING = frozenset(
    {
        Permission.MAILBOX_READ,
        Permission.ALIAS_READ,
        Permission.DOMAIN_READ,
        Permission.SERVER_READ,
        Permission.SYNC_READ,
        Permission.LOG_READ,
        Permission.POLICY_READ,
    }
)
ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: READING,
    Role.DOMAIN_ADMIN: READING
    | {Permission.MAILBOX_WRITE, Permission.ALIAS_WRITE, Permission.SYNC_PUSH, Permission.SYNC_PULL},
    Role.SUPER_ADMIN: frozenset(Permission),
}
RANK = {Role.VIEWER: 0, Role.DOMAIN_ADMIN: 1, Role.SUPER_ADMIN: 2}


class Thing(Protocol):
    """What a permission is asked for: whatever has an address, or is one, in a domain. The rows of mailboxes are."""

    @property
    def domain_id(self) -> int: ...

    @property
    def address(self) -> str: ...


class InDomain(NamedTuple):
    """What has no row yet, or is the domain itself."""

    address: str
    domain_id: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a signed-in operator, an API token, the command line or the scheduler.

    `domains`: ids of the domains they may see and change; None means all of them.
    `scopes`: what a token was given of its role's permissions; None means all of them.
    """

    name: str
    role: Role
    operator_id: int | None = None
    domains: frozenset[int] | None = None
    ip: str | None = None
    scopes: frozenset[Permission] | None = None

    @classmethod
    def system(cls, name: str) -> "Actor":
        """The scheduler or the command line: whoever can run it holds the database anyway."""
        return cls(name, Role.SUPER_ADMIN)

    def may(self, permission: Permission, thing: Thing | None = None) -> bool:
        return self._holds(permission) and (thing is None or self.reaches(thing.domain_id))

    def reaches(self, domain_id: int) -> bool:
        """Whether a domain is theirs."""
        return self.domains is None or domain_id in self.domains

    def _holds(self, permission: Permission) -> bool:
        return permission in ROLES[self.role] and (self.scopes is None or permission in self.scopes)

    def require(self, permission: Permission, thing: Thing | None = None) -> None:
        """Raises: AccessDenied; ForeignDomain for what is in a domain that is not theirs."""
        if permission not in ROLES[self.role]:
            raise AccessDenied(f"A {self.role} may not do this ({permission}).", permission=str(permission))
        if not self._holds(permission):
            raise AccessDenied(f"{self.name} was not given the scope {permission}.", permission=str(permission))
        if thing is not None and not self.reaches(thing.domain_id):
            raise ForeignDomain(f"{thing.address} is in a domain that is not yours.", permission=str(permission))

    def require_everywhere(self) -> None:
        """For what is done once for all domains. Raises: AccessDenied."""
        if self.domains is not None:
            raise AccessDenied("This is of all domains, and you are kept to some.", permission="everywhere")

    def require_rank(self, holder: Role | None, address: str) -> None:
        """Nobody changes the mailbox of an operator who outranks them.

        A DomainAdmin could otherwise reset the password of a SuperAdmin's mailbox, read their mail and become them.
        Raises: AccessDenied.
        """
        if holder is not None and RANK[holder] > RANK[self.role]:
            raise AccessDenied(f"{address} is the mailbox of a {holder}, who outranks you.", permission="rank")
