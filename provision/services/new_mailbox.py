"""New mailboxes: what is asked for, checked, and made into rows; one or ten thousand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, InDomain, Permission
from provision.core.errors import Conflict, InvalidEmail, InvalidInput, NotFound, ProvisionError
from provision.core.passwords import PasswordRules, check_hash, check_password, hash_password
from provision.core.policy import Policy
from provision.core.secret import Secret
from provision.core.state import Resource
from provision.core.texts import N_
from provision.servers.kinds import traits_of
from provision.services.checks import (
    alias_refusal,
    check_display_name,
    check_quota,
    disable_refusal,
    find_domains,
    taken_addresses,
)
from provision.services.writing import HIDDEN, intend, require_rank
from provision.storage.encryption import Sealer
from provision.storage.models import Alias, Domain, Mailbox, Status


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
        kept = None if self.password is None else check_password(self.password, rules, address=address)
        known = check_hash(self.password_hash.reveal()) if self.password_hash else None
        return replace(
            self,
            address=address,
            password=kept,
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


# ---- what cannot be made -------------------------------------------------------------------


def refusals(session: Session, actor: Actor, news: Sequence[NewMailbox]) -> list[ProvisionError | None]:
    """Why each of these checked newcomers cannot be made with its aliases, or None. Raises: AccessDenied."""
    wanted = [address for new in news for address in (new.address, *new.aliases)]
    domains = find_domains(session, {addresses.domain_of(address) for address in wanted})
    taken = taken_addresses(session, wanted)
    found = []
    for new in news:
        reason = _mailbox_refusal(actor, new, domains, taken) or _aliases_refusal(actor, new, domains, taken)
        if reason is None:
            taken.update(dict.fromkeys((new.address, *new.aliases), N_("it comes twice")))
        found.append(reason)
    require_rank(session, actor, wanted)
    return found


def _mailbox_refusal(
    actor: Actor, new: NewMailbox, domains: Mapping[str, Domain], taken: Mapping[str, str]
) -> ProvisionError | None:
    name = addresses.domain_of(new.address)
    domain = domains.get(name)
    if domain is None:
        return NotFound(f"The domain {name} is not set up here; add it first.", code="DOMAIN_NOT_FOUND", domain=name)
    actor.require(Permission.MAILBOX_WRITE, InDomain(new.address, domain.id))
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


def _aliases_refusal(
    actor: Actor, new: NewMailbox, domains: Mapping[str, Domain], taken: Mapping[str, str]
) -> ProvisionError | None:
    """Why one of its aliases cannot be made, or None. They may be in another domain of the same server."""
    own = domains[addresses.domain_of(new.address)]
    for alias in new.aliases:
        domain = domains.get(addresses.domain_of(alias))
        if domain is None or domain.server_id != own.server_id:
            reason = N_(f"The domain of the alias {alias} is not set up on this mail server.")
            return NotFound(reason, code="DOMAIN_NOT_FOUND", alias=alias)
        actor.require(Permission.ALIAS_WRITE, InDomain(alias, domain.id))
        if refused := alias_refusal(domain.server.kind, alias):
            return refused
        if alias in taken or alias == new.address:
            why = taken.get(alias, N_("it is the mailbox itself"))
            return Conflict(f"The alias {alias} cannot be made: {why}.", code="DUPLICATE_ALIAS", alias=alias)
    return None


# ---- making them ---------------------------------------------------------------------------


def insert_mailboxes(
    session: Session, sealer: Sealer, policy: Policy, actor: Actor, news: Sequence[NewMailbox]
) -> list[Mailbox]:
    """Rows and records of newcomers that have no refusal, and of their aliases."""
    domains = find_domains(session, {addresses.domain_of(a) for new in news for a in (new.address, *new.aliases)})
    rows = [_row(sealer, policy, new, domains[addresses.domain_of(new.address)]) for new in news]
    session.add_all(rows)
    payloads = {row.uid: new.payload() for row, new in zip(rows, news, strict=True)}
    intend(session, actor, Operation.MAILBOX_CREATE, rows, lambda row: payloads[row.uid])
    aliases = [
        _alias(row, address, domains[addresses.domain_of(address)])
        for row, new in zip(rows, news, strict=True)
        for address in new.aliases
    ]
    session.add_all(aliases)
    intend(session, actor, Operation.ALIAS_CREATE, aliases, lambda alias: {"destinations": alias.destinations})
    return rows


def _row(sealer: Sealer, policy: Policy, new: NewMailbox, domain: Domain) -> Mailbox:
    sealed = sealer.seal(new.password_hash) if new.password_hash else None
    if new.password is not None:
        sealed = seal_password(sealer, domain.server.kind, new.password)
    standard = policy.default_quota_mb << 20 if domain.default_quota_bytes is None else domain.default_quota_bytes
    return Mailbox(
        uid=uuid7(),
        address=new.address,
        domain_id=domain.id,
        server_id=domain.server_id,
        display_name=new.display_name,
        status=Status.ACTIVE if new.enabled else Status.DISABLED,
        quota_bytes=standard if new.quota_bytes is None else new.quota_bytes,
        quota_messages=new.quota_messages,
        sealed_password=sealed,
        generation=1,
    )


def _alias(owner: Mailbox, address: str, domain: Domain) -> Alias:
    return Alias(
        uid=uuid7(),
        address=address,
        domain_id=domain.id,
        server_id=owner.server_id,
        mailbox_id=owner.id,
        destinations=[owner.address],
    )


def seal_password(sealer: Sealer, kind: str, password: Secret) -> str:
    """As the kind takes it: the password itself, or its hash."""
    return sealer.seal(password if traits_of(kind).password == "plain" else hash_password(password))
