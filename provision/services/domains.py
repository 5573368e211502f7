"""Domains, each on one mail server."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, Permission, Role
from provision.core.errors import Conflict, NotFound
from provision.core.texts import N_
from provision.services.checks import check_description, check_quota, check_version
from provision.services.idempotency import made_earlier, remember
from provision.services.writing import done, find, operation, touch, writing
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.models import Alias, Domain, Mailbox, Operator, Server
from provision.sync.engine import Sync

HAS_MAILBOXES = N_("{name} still has mailboxes (soft-deleted ones count); delete them first.")
LEFT_NAMED = 100  # in the record
HAS_ALIASES = N_("{name} still has aliases; delete them first.")


@dataclass(frozen=True, slots=True)
class Domains:
    database: Database
    settings: Settings
    sync: Sync

    @operation(Operation.DOMAIN_CREATE)
    def create(
        self,
        actor: Actor,
        name: str,
        server_name: str,
        *,
        description: str = "",
        default_quota_bytes: int | None = None,
        idempotency_key: str | None = None,
    ) -> Domain:
        """Add a domain to a mail server. `default_quota_bytes` None: the product's default."""
        actor.require(Permission.DOMAIN_WRITE)
        internal = self.settings.internal_endings
        domain, text = addresses.normalise_new_domain(name, internal), check_description(description)
        request = {
            "name": domain,
            "server": server_name,
            "description": text,
            "default_quota_bytes": default_quota_bytes,
        }
        call = (actor, Operation.DOMAIN_CREATE, idempotency_key, request)
        with writing(self.database) as session:
            if uid := made_earlier(session, *call):
                return find(session, Domain, uid)
            server = session.scalar(select(Server).where(Server.name == server_name))
            if server is None:
                raise NotFound(f"There is no mail server called {server_name}.", code="SERVER_NOT_FOUND")
            if session.scalar(select(Domain.id).where(Domain.name == domain)):
                raise Conflict(f"The domain {domain} exists already.", code="DUPLICATE_DOMAIN")
            quota = None if default_quota_bytes is None else check_quota(default_quota_bytes)
            row = Domain(name=domain, server_id=server.id, description=text, default_quota_bytes=quota)
            session.add(row)
            session.flush()
            done(session, actor, Operation.DOMAIN_CREATE, [_subject(row)], request)
            remember(session, *call, [row.uid])
        return row

    @operation(Operation.DOMAIN_EDIT)
    def edit(
        self,
        actor: Actor,
        uid: UUID,
        *,
        description: str | None = None,
        default_quota_bytes: int | None = None,
        expected_version: int | None = None,
    ) -> Domain:
        """Change what is given. The default quota (negative: the product's) is for mailboxes made from now on."""
        actor.require(Permission.DOMAIN_WRITE)
        with writing(self.database) as session:
            row = find(session, Domain, uid)
            shown = {"description": row.description, "default_quota_bytes": row.default_quota_bytes}
            check_version(row, expected_version, **shown)
            if description is not None:
                row.description = check_description(description)
            if default_quota_bytes is not None:
                row.default_quota_bytes = None if default_quota_bytes < 0 else check_quota(default_quota_bytes)
            touch(row)
            payload = {"description": row.description, "default_quota_bytes": row.default_quota_bytes}
            done(session, actor, Operation.DOMAIN_EDIT, [_subject(row)], payload)
        return row

    @operation(Operation.DOMAIN_DELETE)
    def delete(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> list[str]:
        """Remove a domain that nothing is left in here; returns what the mail server still has of it, if it tells."""
        actor.require(Permission.DOMAIN_WRITE)
        with self.database.read() as session:
            row = find(session, Domain, uid)
        left = self.sync.addresses_in(row.server_id, row.name)
        with writing(self.database) as session:
            row = find(session, Domain, uid)
            check_version(row, expected_version, description=row.description)
            for table, what in ((Mailbox, HAS_MAILBOXES), (Alias, HAS_ALIASES)):
                if session.scalar(select(exists().where(table.domain_id == row.id))):
                    raise Conflict(what.format(name=row.name), code="DOMAIN_NOT_EMPTY")
            _refuse_last_of_viewer(session, row)
            done(session, actor, Operation.DOMAIN_DELETE, [_subject(row)], {"left_on_server": left[:LEFT_NAMED]})
            session.delete(row)
        return left


def _refuse_last_of_viewer(session: Session, row: Domain) -> None:
    """A Viewer without domains sees all of them, so their last one is not taken from them in passing."""
    viewers = select(Operator).where(Operator.role == Role.VIEWER, Operator.domains.any(Domain.id == row.id))
    names = [viewer.username for viewer in session.scalars(viewers) if len(viewer.domains) == 1]
    if names:
        raise Conflict(
            f"{row.name} is the only domain that {', '.join(names)} may see; change that first.", code="DOMAIN_IN_USE"
        )


def _subject(row: Domain) -> Subject:
    return Subject("domain", row.uid, row.name, row.name, row.server_id)
