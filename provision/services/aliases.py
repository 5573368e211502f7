"""Aliases: an address, or a whole domain, whose mail goes elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, InDomain, Permission
from provision.core.errors import AccessDenied, Conflict, InvalidEmail, InvalidInput, NotFound, ProvisionError
from provision.core.traits import Feature
from provision.servers.kinds import traits_of
from provision.services.checks import alias_refusal, check_version, taken_addresses
from provision.services.forwarding import refuse_loop
from provision.services.idempotency import ItemError, earlier, made_earlier, remember
from provision.services.writing import (
    Delivery,
    domain_by_name,
    done,
    find,
    find_writable,
    intend,
    operation,
    require_rank,
    subject_of,
    touch,
    want,
    writing,
)
from provision.storage.database import Database
from provision.storage.models import Alias, Domain, Mailbox
from provision.sync.rules import taken_on_servers

MAX_DESTINATIONS = 100


@dataclass(frozen=True, slots=True)
class NewAlias:
    """An alias that somebody asks for. `mailbox`: the address of the one it is listed under."""

    address: str
    destinations: Sequence[str]
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class ManyAliases:
    """What was made of many, and why the others were not."""

    done: Sequence[UUID]
    errors: Sequence[ItemError]


@dataclass(frozen=True, slots=True)
class Aliases:
    database: Database
    delivery: Delivery

    @operation(Operation.ALIAS_CREATE)
    def create(
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
        call = (actor, Operation.ALIAS_CREATE, idempotency_key, {"address": alias, "destinations": targets})
        with writing(self.database) as session:
            if uid := made_earlier(session, *call):
                return find(session, Alias, uid)
            row = _insert(session, actor, alias, targets, mailbox_id)
            intend(session, actor, Operation.ALIAS_CREATE, [row], {"destinations": targets})
            remember(session, *call, [row.uid])
        return self.delivery.pushed(row)

    @operation(Operation.ALIAS_CREATE)
    def create_many(
        self, actor: Actor, aliases: Sequence[NewAlias], *, dry_run: bool = False, idempotency_key: str | None = None
    ) -> ManyAliases:
        """Make several in one transaction and with one push; what cannot be made is in `errors`."""
        actor.require(Permission.ALIAS_WRITE)
        request = [[new.address, *new.destinations] for new in aliases]
        call = (actor, Operation.ALIAS_CREATE, idempotency_key, request)
        rows, errors = [], []
        with writing(self.database) as session:
            if before := earlier(session, *call):
                refused = [ItemError.from_dict(stored) for stored in before.refusals]
                return ManyAliases([UUID(uid) for uid in before.resource_ids], refused)
            for index, new in enumerate(aliases):
                try:
                    rows.append(_insert_new(session, actor, new))
                    session.flush()  # the next one may lead to it
                except AccessDenied:
                    raise  # and recorded
                except ProvisionError as error:
                    errors.append(ItemError(index, new.address, error))
            if dry_run:
                session.rollback()
                return ManyAliases([], errors)
            intend(session, actor, Operation.ALIAS_CREATE, rows, lambda row: {"destinations": row.destinations})
            remember(session, *call, [row.uid for row in rows], [error.to_dict() for error in errors])
            servers, uids = {row.server_id for row in rows}, [row.uid for row in rows]
        self.delivery.push(servers)
        return ManyAliases(uids, errors)

    @operation(Operation.ALIAS_EDIT)
    def edit(
        self, actor: Actor, uid: UUID, destinations: Sequence[str], *, expected_version: int | None = None
    ) -> Alias:
        """Replace the destinations."""
        actor.require(Permission.ALIAS_WRITE)
        with writing(self.database) as session:
            row = _find_kept(session, actor, uid, expected_version)
            targets = check_destinations(destinations, row.destinations)
            refuse_loop(session, row.address, targets)
            new = [target for target in targets if target not in row.destinations]
            _refuse_what_the_kind_cannot(session, row.domain, row.address, new)
            if targets == row.destinations:
                return row
            before, row.destinations = row.destinations, targets
            want(row)
            intend(session, actor, Operation.ALIAS_EDIT, [row], {"destinations": targets, "before": before})
        return self.delivery.pushed(row)

    @operation(Operation.ALIAS_DELETE)
    def delete(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Alias:
        with writing(self.database) as session:
            row = _find_kept(session, actor, uid, expected_version)
            _remove(session, actor, [row])
            session.refresh(row)  # it may be gone from the database when it is returned
        return self.delivery.pushed(row)

    @operation(Operation.ALIAS_DELETE)
    def delete_many(self, actor: Actor, uids: Sequence[UUID]) -> int:
        """Remove several with one push; returns how many. What is on its way out already is left alone."""
        actor.require(Permission.ALIAS_WRITE)
        with writing(self.database) as session:
            rows = [row for row in (find(session, Alias, uid) for uid in uids) if not row.removing]
            for row in rows:
                actor.require(Permission.ALIAS_WRITE, row)
            require_rank(session, actor, [row.address for row in rows])
            _remove(session, actor, rows)
        self.delivery.push({row.server_id for row in rows})
        return len(rows)

    @operation(Operation.ALIAS_ASSIGN)
    def assign(self, actor: Actor, uid: UUID, mailbox_id: UUID | None) -> Alias:
        """Say which mailbox an alias is listed under; known here only."""
        with writing(self.database) as session:
            row = _find_kept(session, actor, uid)
            row.mailbox_id = _owner(session, actor, mailbox_id, [])
            touch(row)
            owner = session.get(Mailbox, row.mailbox_id) if row.mailbox_id else None
            payload = {"mailbox": owner.address if owner else None}
            done(session, actor, Operation.ALIAS_ASSIGN, [subject_of(row)], payload)
            session.refresh(row)
        return row


def _insert(session: Session, actor: Actor, alias: str, targets: list[str], mailbox_id: UUID | None) -> Alias:
    """The row of a new alias. Raises: ProvisionError, where it cannot be made; then there is none."""
    domain = domain_by_name(session, addresses.domain_of(alias))
    actor.require(Permission.ALIAS_WRITE, InDomain(alias, domain.id))
    require_rank(session, actor, [alias])
    _refuse_taken(session, alias)
    refuse_loop(session, alias, targets)
    _refuse_what_the_kind_cannot(session, domain, alias, targets)
    row = Alias(
        uid=uuid7(),
        address=alias,
        domain_id=domain.id,
        server_id=domain.server_id,
        destinations=targets,
        mailbox_id=_owner(session, actor, mailbox_id, targets),
    )
    session.add(row)
    return row


def _insert_new(session: Session, actor: Actor, new: NewAlias) -> Alias:
    alias, targets, owner = addresses.normalise_alias(new.address), check_destinations(new.destinations), None
    if new.mailbox:
        owner = session.scalar(select(Mailbox.uid).where(Mailbox.address == addresses.normalise(new.mailbox)))
        if owner is None:
            raise NotFound("The mailbox this alias should belong to does not exist.", code="MAILBOX_NOT_FOUND")
    return _insert(session, actor, alias, targets, owner)


def check_destinations(destinations: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """Normalised, each once, in order. `before`: those it has, which may stay as they are. Raises: InvalidInput."""
    known = set(before)
    normalised = (d if d in known else addresses.normalise_destination(d) for d in destinations)
    targets = list(dict.fromkeys(normalised))
    if not targets:
        raise InvalidInput("An alias needs at least one destination.", code="NO_DESTINATION")
    if len(targets) > MAX_DESTINATIONS and not known.issuperset(targets):
        raise InvalidInput(f"An alias has {MAX_DESTINATIONS} destinations at most.", code="TOO_MANY_DESTINATIONS")
    return targets


def _find_kept(session: Session, actor: Actor, uid: UUID, expected_version: int | None = None) -> Alias:
    """The row, locked, if the actor may change it. Raises: AccessDenied, NotFound, Conflict."""
    row = find_writable(session, actor, Permission.ALIAS_WRITE, Alias, uid)
    if row.removing:
        raise Conflict(f"{row.address} is being removed already.", code="ALIAS_DELETED")
    check_version(row, expected_version, destinations=", ".join(row.destinations))
    return row


def _remove(session: Session, actor: Actor, rows: Sequence[Alias]) -> None:
    for row in rows:
        row.removing = True
        want(row)
    intend(session, actor, Operation.ALIAS_DELETE, rows, lambda row: {"destinations": row.destinations})


def _owner(session: Session, actor: Actor, mailbox_id: UUID | None, targets: Sequence[str]) -> int | None:
    """The mailbox an alias belongs to: the one named, else its only destination if that is ours."""
    if mailbox_id is None:
        only = targets[0] if len(targets) == 1 else None
        found = session.scalar(select(Mailbox.id).where(Mailbox.address == only))
        return found
    owner = session.scalar(select(Mailbox).where(Mailbox.uid == mailbox_id))
    if owner is None:
        raise NotFound("The mailbox this alias should belong to does not exist.", code="MAILBOX_NOT_FOUND")
    actor.require(Permission.ALIAS_WRITE, owner)
    return owner.id


def _refuse_taken(session: Session, alias: str) -> None:
    there = session.scalar(select(Alias).where(Alias.address == alias))
    if there and there.removing:
        raise Conflict(
            f"The old alias {alias} is still being removed from the mail server; try again when it is gone.",
            code="DUPLICATE_ALIAS",
        )
    if there:
        raise Conflict(f"The alias {alias} exists already; edit it to add destinations.", code="DUPLICATE_ALIAS")
    if reason := taken_on_servers(session, [alias]).get(alias):
        raise Conflict(f"{alias} cannot be an alias: {reason}.")
    if reason := taken_addresses(session, [alias]).get(alias):
        raise Conflict(f"{alias} cannot be an alias: a mailbox has this address ({reason}).", code="DUPLICATE_MAILBOX")


def _refuse_what_the_kind_cannot(session: Session, domain: Domain, alias: str, targets: Sequence[str]) -> None:
    """Raises: InvalidInput."""
    if reason := alias_refusal(domain.server.kind, alias):
        raise reason
    traits = traits_of(domain.server.kind)
    names = {addresses.domain_of(target) for target in targets}
    found = session.execute(select(Domain.name, Domain.server_id).where(Domain.name.in_(names))).tuples()
    ours = dict(found.all())
    for target in targets:
        name = addresses.domain_of(target)
        local_reason = addresses.refusal(target) if name in ours else None
        if why := local_reason or traits.destination_refusal(target, is_ours=name in ours):
            raise InvalidEmail(f"{target} cannot be a destination: {why}.", value=target)
        if ours.get(name) != domain.server_id and not traits.can(Feature.EXTERNAL_DESTINATIONS):
            raise InvalidInput(f"This kind of mail server sends no mail on to other servers: {target}.")
