"""Aliases: an address, or a whole domain, whose mail goes elsewhere."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict, InvalidEmail, InvalidInput, NotFound, ProvisionError
from provision.core.state import Resource
from provision.core.texts import N_
from provision.core.traits import Feature, Traits
from provision.servers.kinds import traits_of
from provision.services.base import Service, operation, subject_of, touch
from provision.services.new_mailbox import NewMailbox, find_domains, taken_addresses
from provision.storage.models import Alias, Domain, Mailbox

MAX_DESTINATIONS = 100


class AliasWrites(Service):
    @operation("alias.create")
    def create_alias(
        self,
        actor: Actor,
        address: str,
        destinations: Sequence[str],
        *,
        mailbox_id: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> Alias:
        """Make an alias; `@example.com` catches all. Destinations may be anywhere. Raises: Conflict DUPLICATE_ALIAS."""
        actor.require(Permission.ALIAS_WRITE)
        alias, targets = addresses.normalise_alias(address), check_destinations(destinations)
        request = {"address": alias, "destinations": targets}
        with self._writing() as session:
            made = self._replayed(session, actor, "alias.create", idempotency_key, request)
            if made:
                return self._alias(session, UUID(made[0]))
            domain = self._domain_by_name(session, addresses.domain_of(alias))
            actor.require(Permission.ALIAS_WRITE, domain.id, what=alias)
            _refuse_taken(session, alias)
            _refuse_loop(alias, targets)
            _refuse_what_the_kind_cannot(session, domain, alias, targets)
            owner = self._owner(session, actor, mailbox_id, targets)
            row = Alias(
                uid=uuid7(),
                address=alias,
                domain_id=domain.id,
                server_id=domain.server_id,
                destinations=targets,
                mailbox_id=owner,
            )
            session.add(row)
            self._intend(session, actor, "alias.create", [row], [{"destinations": targets}])
            self._remember(session, actor, "alias.create", idempotency_key, request, [row.uid])
        return self._pushed(row)

    @operation("alias.edit")
    def edit_alias(
        self, actor: Actor, uid: UUID, destinations: Sequence[str], *, expected_version: int | None = None
    ) -> Alias:
        """Replace the destinations."""
        actor.require(Permission.ALIAS_WRITE)
        targets = check_destinations(destinations)
        with self._writing() as session:
            row = self._writable_alias(session, actor, uid)
            self._check_version(row, expected_version, destinations=", ".join(row.destinations))
            _refuse_loop(row.address, targets)
            _refuse_what_the_kind_cannot(session, row.domain, row.address, targets)
            if targets == row.destinations:
                return row
            before, row.destinations = row.destinations, targets
            self._want(row)
            self._intend(session, actor, "alias.edit", [row], [{"destinations": targets, "before": before}])
        return self._pushed(row)

    @operation("alias.delete")
    def delete_alias(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Alias:
        with self._writing() as session:
            row = self._writable_alias(session, actor, uid)
            self._check_version(row, expected_version, destinations=", ".join(row.destinations))
            row.removing = True
            self._want(row)
            self._intend(session, actor, "alias.delete", [row], [{"destinations": row.destinations}])
            session.refresh(row)  # it may be gone from the database when it is returned
        return self._pushed(row)

    @operation("alias.delete")
    def delete_aliases(self, actor: Actor, uids: Sequence[UUID]) -> int:
        """Remove several with one push; returns how many. What is on its way out already is left alone."""
        actor.require(Permission.ALIAS_WRITE)
        with self._writing() as session:
            rows = [row for row in (self._alias(session, uid) for uid in uids) if not row.removing]
            for row in rows:
                actor.require(Permission.ALIAS_WRITE, row.domain_id, what=row.address)
                row.removing = True
                self._want(row)
            self._intend(session, actor, "alias.delete", rows, [{"destinations": row.destinations} for row in rows])
        self._push({row.server_id for row in rows})
        return len(rows)

    @operation("alias.assign")
    def assign_alias(self, actor: Actor, uid: UUID, mailbox_id: UUID | None) -> Alias:
        """Say which mailbox an alias is listed under; known here only."""
        with self._writing() as session:
            row = self._writable_alias(session, actor, uid)
            row.mailbox_id = self._owner(session, actor, mailbox_id, [])
            touch(row)
            owner = session.get(Mailbox, row.mailbox_id) if row.mailbox_id else None
            payload = {"mailbox": owner.address if owner else None}
            self._done(session, actor, "alias.assign", [subject_of(row)], payload)
            session.refresh(row)
        return row

    def _alias(self, session: Session, uid: UUID) -> Alias:
        row: Alias = self._find(session, Alias, uid, "alias")
        return row

    def _writable_alias(self, session: Session, actor: Actor, uid: UUID) -> Alias:
        actor.require(Permission.ALIAS_WRITE)
        row = self._alias(session, uid)
        actor.require(Permission.ALIAS_WRITE, row.domain_id, what=row.address)
        if row.removing:
            raise Conflict(f"{row.address} is being removed already.", code="ALIAS_DELETED")
        return row

    @staticmethod
    def _owner(session: Session, actor: Actor, mailbox_id: UUID | None, targets: Sequence[str]) -> int | None:
        """The mailbox an alias belongs to: the one named, else its only destination if that is ours."""
        if mailbox_id is None:
            found = (
                session.scalar(select(Mailbox.id).where(Mailbox.address == targets[0])) if len(targets) == 1 else None
            )
            return found
        owner = session.scalar(select(Mailbox).where(Mailbox.uid == mailbox_id))
        if owner is None:
            raise NotFound("The mailbox this alias should belong to does not exist.", code="MAILBOX_NOT_FOUND")
        actor.require(Permission.ALIAS_WRITE, owner.domain_id, what=owner.address)
        return owner.id


def check_destinations(destinations: Sequence[str]) -> list[str]:
    """Normalised, each once, in order. Raises: InvalidInput."""
    targets = list(dict.fromkeys(addresses.normalise(destination) for destination in destinations))
    if not targets:
        raise InvalidInput("An alias needs at least one destination.", code="NO_DESTINATION")
    if len(targets) > MAX_DESTINATIONS:
        raise InvalidInput(f"An alias has {MAX_DESTINATIONS} destinations at most.", code="TOO_MANY_DESTINATIONS")
    return targets


def _refuse_taken(session: Session, alias: str) -> None:
    there = session.scalar(select(Alias).where(Alias.address == alias))
    if there and there.removing:
        raise Conflict(
            f"The old alias {alias} is still being removed from the mail server; try again when it is gone.",
            code="DUPLICATE_ALIAS",
        )
    if there:
        raise Conflict(f"The alias {alias} exists already; edit it to add destinations.", code="DUPLICATE_ALIAS")
    if reason := taken_addresses(session, [alias]).get(alias):
        raise Conflict(f"{alias} cannot be an alias: a mailbox has this address ({reason}).", code="DUPLICATE_MAILBOX")


def _refuse_loop(alias: str, targets: Sequence[str]) -> None:
    if alias in targets:
        raise InvalidInput(f"{alias} would send its mail to itself.", code="ALIAS_LOOP")


def _refuse_what_the_kind_cannot(session: Session, domain: Domain, alias: str, targets: Sequence[str]) -> None:
    """Raises: InvalidInput."""
    traits = traits_of(domain.server.kind)
    if reason := kind_refusal(traits, alias):
        raise reason
    for target in targets:
        if why := traits.address_rule(Resource.ALIAS, target):
            raise InvalidEmail(f"{target} cannot be a destination: {why}.", value=target)
    if not traits.can(Feature.EXTERNAL_DESTINATIONS):
        here = set(session.scalars(select(Domain.name).where(Domain.server_id == domain.server_id)))
        if elsewhere := [target for target in targets if addresses.domain_of(target) not in here]:
            raise InvalidInput(f"This kind of mail server sends no mail on to other servers: {elsewhere[0]}.")


def kind_refusal(traits: Traits, alias: str) -> InvalidInput | None:
    """Why such an alias cannot be on this kind of mail server, or None."""
    if alias.startswith("@"):
        if traits.can(Feature.CATCH_ALL):
            return None
        return InvalidInput(f"{alias} cannot be made: this kind of mail server has no aliases for whole domains.")
    reason = traits.address_rule(Resource.ALIAS, alias)
    return InvalidEmail(f"{alias} cannot be an alias: {reason}.", value=alias) if reason else None


def new_alias(owner: Mailbox, address: str, domain: Domain) -> Alias:
    """An alias of a new mailbox; its domain may be another one on the same server."""
    return Alias(
        uid=uuid7(),
        address=address,
        domain_id=domain.id,
        server_id=owner.server_id,
        mailbox_id=owner.id,
        destinations=[owner.address],
    )


def refuse_taken_alias(
    actor: Actor, new: NewMailbox, domains: Mapping[str, Domain], taken: Mapping[str, str]
) -> ProvisionError | None:
    """Why one of the aliases of a newcomer cannot be made, or None. Raises: AccessDenied."""
    own = domains[addresses.domain_of(new.address)]
    for alias in new.aliases:
        domain = domains.get(addresses.domain_of(alias))
        if domain is None or domain.server_id != own.server_id:
            return NotFound(
                f"The domain of the alias {alias} is not set up on this mail server.",
                code="DOMAIN_NOT_FOUND",
                alias=alias,
            )
        actor.require(Permission.ALIAS_WRITE, domain.id, what=alias)
        if reason := kind_refusal(traits_of(domain.server.kind), alias):
            return reason
        if alias in taken or alias == new.address:
            return Conflict(
                f"The alias {alias} cannot be made: {taken.get(alias, N_('it is the mailbox itself'))}.",
                code="DUPLICATE_ALIAS",
                alias=alias,
            )
    return None


def insert_aliases(session: Session, rows: Sequence[Mailbox], newcomers: Sequence[NewMailbox]) -> list[Alias]:
    domains = find_domains(session, {addresses.domain_of(alias) for new in newcomers for alias in new.aliases})
    aliases = [
        new_alias(row, alias, domains[addresses.domain_of(alias)])
        for row, new in zip(rows, newcomers, strict=True)
        for alias in new.aliases
    ]
    session.add_all(aliases)
    return aliases


def refuse_taken_aliases(session: Session, actor: Actor, new: NewMailbox) -> None:
    """Raises: NotFound, Conflict or AccessDenied for an alias of a newcomer that cannot be made."""
    if not new.aliases:
        return
    domains = find_domains(session, {addresses.domain_of(a) for a in (new.address, *new.aliases)})
    own = addresses.domain_of(new.address)
    if own in domains and (
        reason := refuse_taken_alias(actor, new, domains, taken_addresses(session, list(new.aliases)))
    ):
        raise reason
