"""Take over what a mail server holds: unknown entries become rows, differing rows take the server's values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, InDomain, Permission
from provision.core.state import DesiredState, Key, MailboxState, Resource, ServerState
from provision.core.texts import N_
from provision.services.writing import done, give_up, subject_of, touch
from provision.storage.models import TABLES, Alias, Domain, Mailbox, Server, Status, utc_now

CHUNK = 5_000


@dataclass(slots=True)
class PullResult:
    """What a pull did. `errors`: what was left alone, and why; `missing`: ours, gone from the server."""

    imported: int = 0
    updated: int = 0
    errors: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


class Adoption:
    """One transaction of taking over from one server: what it holds, beside what was wanted when it was read."""

    def __init__(
        self,
        session: Session,
        actor: Actor,
        server: Server,
        wanted: DesiredState,
        actual: ServerState,
    ) -> None:
        self.session, self.actor, self.server = session, actor, server
        self.wanted, self.actual = wanted, actual
        self.now = utc_now()

    def rows(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """Ours with these keys, locked in the order of the addresses, so that two of these cannot block each other."""
        found: dict[Key, Any] = {}
        for resource, table in TABLES.items():
            names = sorted(key.address for key in set(keys) if key.resource is resource)
            for start in range(0, len(names), CHUNK):
                chosen: Any = (
                    select(table).where(table.address.in_(names[start : start + CHUNK])).order_by(table.address)
                )
                rows = self.session.scalars(chosen.with_for_update(of=table))
                found.update((Key(resource, row.address), row) for row in rows)
        return found

    def import_unknown(self, keys: Sequence[Key], result: PullResult) -> None:
        """Rows for entries that are known only to the server; they are SYNCED at once."""
        domains = self._domains(keys, result)
        rows: list[Mailbox | Alias] = []
        for key in keys:
            domain = domains.get(addresses.domain_of(key.address))
            if domain is not None:
                rows.append(self._row(key, domain))
        self.session.add_all(rows)
        self.session.flush()
        self._link_aliases([row for row in rows if isinstance(row, Alias)])
        for name, table in ((Operation.MAILBOX_IMPORT, Mailbox), (Operation.ALIAS_IMPORT, Alias)):
            subjects = [subject_of(row) for row in rows if isinstance(row, table)]
            done(self.session, self.actor, name, subjects, {})
        result.imported += len(rows)

    def _domains(self, keys: Iterable[Key], result: PullResult) -> dict[str, Domain]:
        """The domains to import into, made where the actor may; the others are reported once each."""
        names = {addresses.domain_of(key.address) for key in keys}
        known = {d.name: d for d in self.session.scalars(select(Domain).where(Domain.name.in_(names)))}
        usable = {}
        for name in sorted(names):
            domain = known.get(name)
            if domain is None and self.actor.may(Permission.DOMAIN_WRITE):
                domain = self.new_domain(name)
            if domain is None:
                result.errors.append(N_(f"{name}: the domain is not set up here, and only a SuperAdmin can add it."))
            elif domain.server_id != self.server.id:
                result.errors.append(N_(f"{name}: the domain belongs to another mail server here."))
            elif self.actor.may(Permission.SYNC_PULL, InDomain(name, domain.id)):
                usable[name] = domain
        return usable

    def new_domain(self, name: str) -> Domain:
        domain = Domain(uid=uuid7(), name=name, server_id=self.server.id, description="")
        self.session.add(domain)
        self.session.flush()
        return domain

    def _row(self, key: Key, domain: Domain) -> Mailbox | Alias:
        common = {
            "uid": uuid7(),
            "address": key.address,
            "domain_id": domain.id,
            "server_id": self.server.id,
            "generation": 1,
            "synced_generation": 1,
            "owned": True,
            "last_synced_at": self.now,
        }
        if key.resource is Resource.ALIAS:
            return Alias(**common, destinations=list(self.actual.aliases[key.address].destinations))
        state = self.actual.mailboxes[key.address]
        return Mailbox(
            **common, status=_status(state), quota_bytes=state.quota_bytes, quota_messages=state.quota_messages
        )

    def _link_aliases(self, aliases: Sequence[Alias]) -> None:
        """An alias with a single destination that is ours is listed under that mailbox."""
        wanted = [a.destinations[0] for a in aliases if len(a.destinations) == 1]
        ids: dict[str, int] = {}
        for start in range(0, len(wanted), CHUNK):
            statement = select(Mailbox.address, Mailbox.id).where(Mailbox.address.in_(wanted[start : start + CHUNK]))
            ids.update((row.address, row.id) for row in self.session.execute(statement))
        for alias in aliases:
            if len(alias.destinations) == 1:
                alias.mailbox_id = ids.get(alias.destinations[0])
        self.session.flush()

    def take_values(self, keys: Sequence[Key], result: PullResult) -> None:
        """Our rows take the server's values; a waiting password is dropped, the server's counts."""
        rows = self.unmoved(keys, result)
        rows = {key: row for key, row in rows.items() if self.actor.may(Permission.SYNC_PULL, row)}
        for key in [key for key in rows if key.resource is Resource.MAILBOX]:
            if self.actual.mailboxes[key.address].quota_bytes is None:
                result.errors.append(N_(f"{key.address}: its quota on the mail server is no size that can be read."))
                del rows[key]
        changed = list(rows.values())
        give_up(self.session, changed, N_("Given up: the server's values were taken instead."))
        for key, row in rows.items():
            if isinstance(row, Alias):
                row.destinations = list(self.actual.aliases[key.address].destinations)
            else:
                state = self.actual.mailboxes[key.address]
                row.quota_bytes, row.sealed_password = state.quota_bytes, None
                if row.status == Status.DELETED:
                    row.login_open = state.enabled
                else:
                    row.status = _status(state)
                row.quota_messages = state.quota_messages or row.quota_messages
            mark_in_sync(row)
            row.last_synced_at = self.now
        self.session.flush()
        subjects = [subject_of(row) for row in changed]
        done(self.session, self.actor, Operation.SYNC_TAKE_FROM_SERVER, subjects, {})
        result.updated += len(changed)

    def unmoved(self, keys: Iterable[Key], result: PullResult) -> dict[Key, Any]:
        """The rows, but those that somebody has changed since the server was read: their wish is newer."""
        rows = self.rows(keys)
        moved = [key for key, row in rows.items() if row.generation != self.wanted.generation(key)]
        result.errors += [N_(f"{key.address}: somebody has changed it meanwhile; look at it again.") for key in moved]
        return {key: row for key, row in rows.items() if key not in set(moved)}


def mark_in_sync(row: Mailbox | Alias) -> None:
    """What is wanted is now what the server holds."""
    row.generation += 1
    row.synced_generation, row.owned, row.confirming, row.removing = row.generation, True, False, False
    row.attempts, row.next_attempt_at, row.error, row.error_code = 0, None, None, None
    touch(row)


def _status(state: MailboxState) -> Status:
    return Status.ACTIVE if state.enabled else Status.DISABLED
