"""Resolve differences between the rows and a mail server: our side wins, or the server's."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, InDomain, Permission
from provision.core.errors import Conflict, NotFound
from provision.core.plan import Plan
from provision.core.state import Key, Resource
from provision.core.texts import N_
from provision.services.adopting import Adoption, PullResult
from provision.services.checks import find_domains
from provision.services.writing import done, give_up, intend, require_rank, subject_of, want
from provision.storage.models import Alias, Domain, Mailbox, Server, Status
from provision.sync.recording import ADDRESS_CONFLICT

WRITING = {Resource.MAILBOX: Permission.MAILBOX_WRITE, Resource.ALIAS: Permission.ALIAS_WRITE}


class Winner(StrEnum):
    DASHBOARD = "dashboard"
    SERVER = "server"


class Resolution:
    """One transaction in which differences of one server are resolved."""

    def __init__(self, session: Session, actor: Actor, plan: Plan, adoption: Adoption) -> None:
        self.session, self.actor, self.adoption = session, actor, adoption
        self.server: Server = adoption.server
        self.unknown, self.address_conflicts = set(plan.unknown), set(plan.address_conflicts)
        self.absent = {*plan.missing, *plan.unrecoverable, *plan.address_conflicts}  # of its sort nothing is there
        self.differing = self.unknown | self.absent | {d.key for d in (*plan.differing, *plan.conflicts)}

    def resolve(self, keys: Sequence[Key], winner: Winner) -> None:
        """All of them, or none. Raises: AccessDenied, NotFound where there is no difference any more, Conflict."""
        self._require(keys, winner)
        for key in keys:
            if key not in self.differing:
                raise NotFound(f"{key.address} does not differ any more.", code="NO_DIFFERENCE")
        if winner is Winner.DASHBOARD:
            self._dashboard_wins(keys)
        else:
            self._server_wins(keys)

    def _require(self, keys: Sequence[Key], winner: Winner) -> None:
        """The domain must be theirs, and on this server; one that is not set up here yet is for a SuperAdmin."""
        domains = find_domains(self.session, {addresses.domain_of(key.address) for key in keys})
        for key in keys:
            domain = domains.get(addresses.domain_of(key.address))
            for permission in self._permissions(key, winner, domain):
                self.actor.require(permission, InDomain(key.address, domain.id) if domain else None)
            if domain and domain.server_id != self.server.id:
                raise Conflict(f"{domain.name}: the domain belongs to another mail server here.", code="SYNC_CONFLICT")
        require_rank(self.session, self.actor, [key.address for key in keys])

    def _permissions(self, key: Key, winner: Winner, domain: Domain | None) -> list[Permission]:
        """What is removed on either side takes the right to remove such a thing."""
        removes = key in (self.unknown if winner is Winner.DASHBOARD else self.absent)
        needed = [Permission.SYNC_PUSH if domain else Permission.DOMAIN_WRITE]
        needed += [Permission.SYNC_PULL] if winner is Winner.SERVER and not removes else []
        return [*needed, WRITING[key.resource]] if removes else needed

    def _dashboard_wins(self, keys: Sequence[Key]) -> None:
        """What only the server has is removed there; ours is sent again."""
        rows = self.adoption.rows([key for key in keys if key not in self.unknown])
        for key, row in rows.items():
            if key in self.address_conflicts:
                raise Conflict(ADDRESS_CONFLICT, code="SYNC_CONFLICT")
            if isinstance(row, Mailbox) and row.sealed_password is None and key in self.absent:
                raise Conflict(
                    f"{key.address} is gone from the mail server, and its password is not kept here. "
                    "Reset its password: that creates it again.",
                    code="MAILBOX_GONE",
                )
            row.owned = True
            want(row)
        rows |= {key: self._tombstone(key) for key in keys if key in self.unknown}
        removed = {row.uid for key, row in rows.items() if key in self.unknown}
        payload = lambda row: {"removed": row.uid in removed}  # noqa: E731
        intend(self.session, self.actor, Operation.SYNC_DASHBOARD_WINS, list(rows.values()), payload)

    def _server_wins(self, keys: Sequence[Key]) -> None:
        """Ours that is not there is forgotten; what only the server has is imported; its values are taken."""
        result = PullResult()
        dropped = list(self.adoption.unmoved([key for key in keys if key in self.absent], result).values())
        give_up(self.session, dropped, N_("Given up: it is not on the mail server, and the server was right."))
        subjects = [subject_of(row) for row in dropped]
        done(self.session, self.actor, Operation.SYNC_SERVER_WINS, subjects, {"dropped": True})
        for row in dropped:
            self.session.delete(row)
        self.adoption.import_unknown([key for key in keys if key in self.unknown], result)
        self.adoption.take_values([key for key in keys if key not in self.unknown | self.absent], result)
        if result.errors:
            raise Conflict(result.errors[0], code="SYNC_CONFLICT")

    def _tombstone(self, key: Key) -> Mailbox | Alias:
        """A row whose only purpose is to be deleted on the server."""
        name = addresses.domain_of(key.address)
        domain = self.session.scalar(select(Domain).where(Domain.name == name)) or self.adoption.new_domain(name)
        common: dict[str, Any] = {
            "uid": uuid7(),
            "address": key.address,
            "domain_id": domain.id,
            "server_id": self.server.id,
            "removing": True,
            "owned": True,
            "generation": 1,
        }
        is_mailbox = key.resource is Resource.MAILBOX
        row = Mailbox(**common, status=Status.DELETED) if is_mailbox else Alias(**common, destinations=[])
        self.session.add(row)
        return row
