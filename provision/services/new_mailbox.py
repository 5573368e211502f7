"""New mailboxes: what is asked for, checked, and made into rows; one or ten thousand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict, InvalidEmail, InvalidInput, NotFound, ProvisionError
from provision.core.passwords import PasswordRules, check_hash, check_password, hash_password
from provision.core.secret import Secret
from provision.core.state import Resource
from provision.core.texts import N_
from provision.core.traits import Feature
from provision.servers.kinds import traits_of
from provision.services.base import HIDDEN, Service, check_display_name, check_quota
from provision.storage.encryption import Sealer
from provision.storage.models import Alias, Domain, Mailbox, Status

CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class NewMailbox:
    """A mailbox that somebody asks for. Either `password` or `password_hash` (Dovecot's notation).

    `quota_bytes` None: the domain's default.
    """

    address: str
    password: Secret | None = None
    password_hash: Secret | None = None
    display_name: str = ""
    quota_bytes: int | None = None
    quota_messages: int | None = None
    enabled: bool = True
    aliases: tuple[str, ...] = field(default=())

    def checked(self, rules: PasswordRules) -> "NewMailbox":
        """Normalised. Raises: InvalidEmail, WeakPassword, InvalidInput."""
        address = addresses.normalise(self.address)
        if (self.password is None) == (self.password_hash is None):
            raise InvalidInput("A new mailbox needs a password or a password hash, not both.", code="PASSWORD_NEEDED")
        if self.password is not None:
            check_password(self.password, rules, address=address)
        known = check_hash(self.password_hash.reveal()) if self.password_hash else None
        return replace(
            self,
            address=address,
            password_hash=known,
            display_name=check_display_name(self.display_name),
            quota_bytes=None if self.quota_bytes is None else check_quota(self.quota_bytes),
            quota_messages=check_quota(self.quota_messages or 0) or None,
            aliases=tuple(dict.fromkeys(addresses.normalise_alias(alias) for alias in self.aliases)),
        )

    def payload(self) -> dict[str, Any]:
        """For the log."""
        return {**self.request(), "password" if self.password else "password_hash": HIDDEN}

    def request(self) -> dict[str, Any]:
        """What two calls with one idempotency key must have in common."""
        return {
            "address": self.address,
            "display_name": self.display_name,
            "quota_bytes": self.quota_bytes,
            "quota_messages": self.quota_messages,
            "enabled": self.enabled,
            "aliases": list(self.aliases),
        }


def insert_mailboxes(service: Service, session: Session, actor: Actor, news: Sequence[NewMailbox]) -> list[Mailbox]:
    """Rows for checked newcomers; the first that cannot be made raises."""
    domains = find_domains(session, {addresses.domain_of(new.address) for new in news})
    taken = taken_addresses(session, [new.address for new in news])
    standard_quota = service._policy(session).default_quota_mb << 20
    rows = []
    for new in news:
        if reason := refusal(actor, new, domains, taken):
            raise reason
        taken[new.address] = N_("it comes twice")
        domain = domains[addresses.domain_of(new.address)]
        quota = standard_quota if domain.default_quota_bytes is None else domain.default_quota_bytes
        rows.append(_row(service, new, domain, quota))
    session.add_all(rows)
    session.flush()
    return rows


def refusal(actor: Actor, new: NewMailbox, domains: dict[str, Domain], taken: dict[str, str]) -> ProvisionError | None:
    """Why this mailbox cannot be made, or None. Raises: AccessDenied."""
    name = addresses.domain_of(new.address)
    domain = domains.get(name)
    if domain is None:
        return NotFound(f"The domain {name} is not set up here; add it first.", code="DOMAIN_NOT_FOUND", domain=name)
    actor.require(Permission.MAILBOX_WRITE, domain.id, what=new.address)
    if reason := _kind_refusal(domain.server.kind, new):
        return reason
    if in_use := taken.get(new.address):
        return Conflict(f"{new.address} cannot be made: {in_use}.", code="DUPLICATE_MAILBOX", address=new.address)
    return None


def _kind_refusal(kind: str, new: NewMailbox) -> InvalidInput | None:
    """Why this kind of mail server could not be given it, or None."""
    traits = traits_of(kind)
    if reason := traits.address_rule(Resource.MAILBOX, new.address):
        return InvalidEmail(f"{new.address} cannot be a mailbox: {reason}.", value=new.address)
    if new.password_hash is not None and not traits.takes_hash:
        return InvalidInput("This kind of mail server takes no password hashes; give the password itself.")
    return None if new.enabled else disable_refusal(kind)


def disable_refusal(kind: str) -> InvalidInput | None:
    """Why no mailbox there can be without login, or None."""
    if traits_of(kind).can(Feature.DISABLE):
        return None
    return InvalidInput("This kind of mail server has no mailboxes that cannot log in.")


def seal_password(sealer: Sealer, kind: str, password: Secret) -> str:
    """As the kind takes it: the password itself, or its hash."""
    return sealer.seal(password if traits_of(kind).password == "plain" else hash_password(password))


def find_domains(session: Session, names: Iterable[str]) -> dict[str, Domain]:
    return {d.name: d for d in session.scalars(select(Domain).where(Domain.name.in_(list(names))))}


def taken_addresses(session: Session, wanted: Sequence[str]) -> dict[str, str]:
    """Which of these addresses are in use, and by what."""
    taken: dict[str, str] = {}
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        for row in session.execute(
            select(Mailbox.address, Mailbox.status, Mailbox.removing).where(Mailbox.address.in_(part))
        ):
            taken[row.address] = _in_use(row)
        for address in session.scalars(select(Alias.address).where(Alias.address.in_(part))):
            taken[address] = N_("an alias has this address")
    return taken


def _in_use(row: Any) -> str:
    if row.removing:
        return N_("the old mailbox is still being removed from the mail server")
    if row.status == Status.DELETED:
        return N_("a soft-deleted mailbox has this address; restore it, or delete it for good")
    return N_("it exists already")


def _row(service: Service, new: NewMailbox, domain: Domain, default_quota: int) -> Mailbox:
    sealed = service.sealer.seal(new.password_hash) if new.password_hash else None
    if new.password is not None:
        sealed = seal_password(service.sealer, domain.server.kind, new.password)
    return Mailbox(
        uid=uuid7(),
        address=new.address,
        domain_id=domain.id,
        server_id=domain.server_id,
        display_name=new.display_name,
        status=Status.ACTIVE if new.enabled else Status.DISABLED,
        quota_bytes=default_quota if new.quota_bytes is None else new.quota_bytes,
        quota_messages=new.quota_messages,
        sealed_password=sealed,
        generation=1,
    )
