"""What should be known before or after a change and hinders nothing: what else decides over an address, a destination
that does not exist. From what is kept here; no mail server is asked."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.errors import InvalidEmail
from provision.core.forwarding import candidates
from provision.core.rules import Rule, alias_effects, mailbox_effects, occupied
from provision.core.texts import N_
from provision.queries.lists import Reads
from provision.servers.kinds import traits_of
from provision.storage.models import Alias, Domain, Mailbox
from provision.sync.rules import known_rules

FIRST = 20  # sentences about many
MANY = 100  # mailboxes, from which on a catch-all is felt
LOOKED_AT = 5_000  # addresses of a domain, for one that is meant
AS_LONG = 2  # letters more or fewer
ALIKE = 0.8


class WarningReads(Reads):
    """Sentences; empty where there is nothing to say."""

    def mailbox_warnings(self, actor: Actor, address: str) -> list[str]:
        """About a mailbox, or an address that is to be one."""
        actor.require(Permission.MAILBOX_READ)
        with suppress(InvalidEmail), self.database.read() as session:
            address = addresses.normalise(address)
            if domain := _domain(session, actor, address):
                is_mailbox = _exists(session, Mailbox, address)
                rules = known_rules(session, domain.server_id)
                has_alias = f"@{domain.name}" in _aliases(session, [f"@{domain.name}"])
                taken = () if is_mailbox else _taken(rules, address)
                return [*taken, *mailbox_effects(rules, address, has_alias=has_alias)]
        return []

    def mailboxes_warnings(self, actor: Actor, mailboxes: Sequence[str]) -> list[str]:
        """The first ones about many that are to be made, in stored form."""
        actor.require(Permission.MAILBOX_READ)
        names = {addresses.domain_of(address) for address in mailboxes}
        with self.database.read() as session:
            domains = session.scalars(select(Domain).where(Domain.name.in_(names))).all()
            caught = _aliases(session, [f"@{name}" for name in names])
            rules = {domain.name: known_rules(session, domain.server_id) for domain in domains}
        found = (
            sentence
            for address in mailboxes
            if (of_domain := rules.get(name := addresses.domain_of(address)))
            for sentence in mailbox_effects(of_domain, address, has_alias=f"@{name}" in caught)
        )
        return list(islice(found, FIRST))

    def alias_warnings(self, actor: Actor, address: str, destinations: Sequence[str]) -> list[str]:
        """About an alias, or one that is to be made. What cannot be read as an address is left to those who save it."""
        actor.require(Permission.ALIAS_READ)
        with self.database.read() as session:
            targets = [target for target in _readable(destinations) if not _is_foreign(session, actor, target)]
            found = [sentence for target in targets for sentence in _not_there(session, actor, target)]
            with suppress(InvalidEmail):
                address = addresses.normalise_alias(address)
                if domain := _domain(session, actor, address):
                    rules = known_rules(session, domain.server_id)
                    found += () if _exists(session, Alias, address) else _taken(rules, address)
                    found += _catch_all_cost(session, domain, address)
                    found += alias_effects(rules, address, targets, lambda target: _exists(session, Mailbox, target))
            return found


def _taken(rules: Sequence[Rule], address: str) -> list[str]:
    """Said before it is made; of what exists its own problem speaks."""
    reason = occupied(rules, address)
    return [reason] if reason else []


def _catch_all_cost(session: Session, domain: Domain, address: str) -> Iterator[str]:
    cost = traits_of(domain.server.kind).catch_all_cost
    if cost and address.startswith("@"):
        statement = select(func.count()).select_from(Mailbox).where(Mailbox.domain_id == domain.id)
        if (session.scalar(statement) or 0) >= MANY:
            yield cost


def _readable(destinations: Sequence[str]) -> Iterator[str]:
    for text in destinations:
        with suppress(InvalidEmail):
            yield addresses.normalise_destination(text)


def _domain(session: Session, actor: Actor, address: str) -> Domain | None:
    """The domain of an address, if it is the actor's."""
    row = session.scalar(select(Domain).where(Domain.name == addresses.domain_of(address)))
    return row if row and (actor.domains is None or row.id in actor.domains) else None


def _is_foreign(session: Session, actor: Actor, address: str) -> bool:
    """Whether it is in a domain that is somebody else's here."""
    name = addresses.domain_of(address)
    row = session.scalar(select(Domain.id).where(Domain.name == name)) if actor.domains is not None else None
    return row is not None and row not in (actor.domains or ())


def _exists(session: Session, table: type[Mailbox] | type[Alias], address: str) -> bool:
    return session.scalar(select(table.id).where(table.address == address, table.removing.is_(False))) is not None


def _aliases(session: Session, names: Collection[str]) -> set[str]:
    statement = select(Alias.address).where(Alias.address.in_(names), Alias.removing.is_(False))
    return set(session.scalars(statement))


def _not_there(session: Session, actor: Actor, target: str) -> Iterator[str]:
    """A destination in a domain of ours that nobody has."""
    domain = _domain(session, actor, target)
    names = candidates(target)
    if domain is None:
        if meant := _similar_domain(session, actor, target):
            yield N_(f"{target} is on another mail server. Did you mean {meant}?")
    elif not _aliases(session, names) and not any(_exists(session, Mailbox, name) for name in names):
        if meant := _similar(session, domain, target):
            yield N_(f"{target} does not exist. Did you mean {meant}?")
        else:
            yield N_(f"{target} does not exist; mail for it is refused.")


def _similar(session: Session, domain: Domain, target: str) -> str | None:
    near: list[str] = []
    for table in (Mailbox, Alias):
        length = func.length(table.address).between(len(target) - AS_LONG, len(target) + AS_LONG)
        of_domain = select(table.address).where(table.domain_id == domain.id, table.removing.is_(False), length)
        near += session.scalars(of_domain.limit(LOOKED_AT))
    by_local = {address.rpartition("@")[0]: address for address in near if not address.startswith("@")}
    found = get_close_matches(target.rpartition("@")[0], by_local, n=1, cutoff=ALIKE)
    return by_local[found[0]] if found else None


def _similar_domain(session: Session, actor: Actor, target: str) -> str | None:
    """The same name in a domain of ours that is written nearly so, if somebody has it."""
    statement = select(Domain.name).order_by(Domain.name).limit(LOOKED_AT)
    if actor.domains is not None:
        statement = statement.where(Domain.id.in_(actor.domains))
    local, _, domain = target.rpartition("@")
    near = get_close_matches(domain, session.scalars(statement).all(), n=1, cutoff=0.85)
    meant = f"{local}@{near[0]}" if near else ""
    return meant if near and (_exists(session, Mailbox, meant) or _exists(session, Alias, meant)) else None
