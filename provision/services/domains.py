"""Mail servers and their domains."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from provision.audit.chain import Subject
from provision.core import address as addresses
from provision.core.access import Actor, Permission, Role
from provision.core.errors import Conflict, InvalidInput, NotFound, ProvisionError
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.servers.kinds import check_settings, settings_of
from provision.servers.setting import split
from provision.services.base import Service, check_description, check_quota, operation, touch
from provision.storage.models import Alias, Domain, Mailbox, Operator, Server
from provision.storage.sealed import seal_settings, secret_settings

HAS_MAILBOXES = N_("{name} still has mailboxes (soft-deleted ones count); delete them first.")
HAS_ALIASES = N_("{name} still has aliases; delete them first.")


class DomainWrites(Service):
    @operation("server.create")
    def create_server(
        self,
        actor: Actor,
        name: str,
        kind: str,
        settings: Mapping[str, Any],
        *,
        quiet_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> Server:
        """Add a mail server. It is not spoken to: see `check_server`."""
        actor.require(Permission.SERVER_WRITE)
        shown, secrets = split(settings_of(kind), settings, {})
        request = {"name": name, "kind": kind, "settings": shown}
        with self._writing() as session:
            made = self._replayed(session, actor, "server.create", idempotency_key, request)
            if made:
                server: Server = self._find(session, Server, UUID(made[0]), "server")
                return server
            if session.scalar(select(Server.id).where(Server.name == name)):
                raise Conflict(f"A mail server called {name} exists already.", code="DUPLICATE_SERVER")
            check_settings(kind, {**shown, **secrets})
            row = Server(name=_check_name(name), kind=kind, settings=shown, quiet_seconds=quiet_seconds)
            row.sealed_settings = seal_settings(self.sealer, secrets)
            session.add(row)
            session.flush()
            self._done(
                session, actor, "server.create", [_server_subject(row)], {"kind": kind, "settings": row.settings}
            )
            self._remember(session, actor, "server.create", idempotency_key, request, [row.uid])
        return row

    @operation("server.edit")
    def edit_server(
        self,
        actor: Actor,
        uid: UUID,
        *,
        settings: Mapping[str, Any] | None = None,
        quiet_seconds: float | None = None,
        expected_version: int | None = None,
    ) -> Server:
        """Change settings or the quiet time (negative: back to automatic). A secret that is empty stays as it is."""
        actor.require(Permission.SERVER_WRITE)
        with self._writing() as session:
            row: Server = self._find(session, Server, uid, "server")
            self._check_version(row, expected_version, settings=row.settings)
            if settings is not None:
                self._set_settings(row, settings)
                row.attempts, row.next_attempt_at, row.silent_until, row.error, row.alarm = 0, None, None, None, None
            if quiet_seconds is not None:
                row.quiet_seconds = None if quiet_seconds < 0 else quiet_seconds
            touch(row)
            payload = {"settings": row.settings, "quiet_seconds": row.quiet_seconds}
            self._done(session, actor, "server.edit", [_server_subject(row)], payload)
        return row

    def _set_settings(self, row: Server, settings: Mapping[str, Any]) -> None:
        shown, secrets = split(settings_of(row.kind), settings, self._stored_secrets(row))
        check_settings(row.kind, {**shown, **secrets})
        row.settings = shown
        row.sealed_settings = seal_settings(self.sealer, secrets)

    def _stored_secrets(self, row: Server) -> dict[str, Secret]:
        """None where no key opens them: they have to be typed anew then."""
        try:
            return secret_settings(row, self.sealer)
        except ProvisionError:
            return {}

    @operation("server.delete")
    def delete_server(self, actor: Actor, uid: UUID) -> None:
        """Forget a mail server that has no domains here. It is not spoken to."""
        actor.require(Permission.SERVER_WRITE)
        with self._writing() as session:
            row: Server = self._find(session, Server, uid, "server")
            if names := session.scalars(select(Domain.name).where(Domain.server_id == row.id).limit(3)).all():
                raise Conflict(
                    f"{row.name} still has {', '.join(names)}; delete its domains first.", code="SERVER_NOT_EMPTY"
                )
            self._done(session, actor, "server.delete", [_server_subject(row)], {"settings": row.settings})
            session.delete(row)

    @operation("server.check")
    def check_server(self, actor: Actor, uid: UUID) -> list[str]:
        """What is wrong with a mail server, as sentences; empty when all is well."""
        actor.require(Permission.SERVER_WRITE)
        with self.database.read() as session:
            row: Server = self._find(session, Server, uid, "server")
        return self.sync.check_server(row.id)

    @operation("server.check")
    def check_settings(self, actor: Actor, kind: str, settings: Mapping[str, Any]) -> list[str]:
        """The same for a mail server that is not added yet."""
        actor.require(Permission.SERVER_WRITE)
        shown, secrets = split(settings_of(kind), settings, {})
        return self.sync.check(kind, {**shown, **secrets})

    @operation("domain.create")
    def create_domain(
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
        domain, text = addresses.normalise_domain(name), check_description(description)
        request = {
            "name": domain,
            "server": server_name,
            "description": text,
            "default_quota_bytes": default_quota_bytes,
        }
        with self._writing() as session:
            made = self._replayed(session, actor, "domain.create", idempotency_key, request)
            if made:
                found: Domain = self._find(session, Domain, UUID(made[0]), "domain")
                return found
            server = session.scalar(select(Server).where(Server.name == server_name))
            if server is None:
                raise NotFound(f"There is no mail server called {server_name}.", code="SERVER_NOT_FOUND")
            if session.scalar(select(Domain.id).where(Domain.name == domain)):
                raise Conflict(f"The domain {domain} exists already.", code="DUPLICATE_DOMAIN")
            quota = None if default_quota_bytes is None else check_quota(default_quota_bytes)
            row = Domain(name=domain, server_id=server.id, description=text, default_quota_bytes=quota)
            session.add(row)
            session.flush()
            self._done(session, actor, "domain.create", [_domain_subject(row)], request)
            self._remember(session, actor, "domain.create", idempotency_key, request, [row.uid])
        return row

    @operation("domain.edit")
    def edit_domain(
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
        with self._writing() as session:
            row: Domain = self._find(session, Domain, uid, "domain")
            shown = {"description": row.description, "default_quota_bytes": row.default_quota_bytes}
            self._check_version(row, expected_version, **shown)
            if description is not None:
                row.description = check_description(description)
            if default_quota_bytes is not None:
                row.default_quota_bytes = None if default_quota_bytes < 0 else check_quota(default_quota_bytes)
            touch(row)
            payload = {"description": row.description, "default_quota_bytes": row.default_quota_bytes}
            self._done(session, actor, "domain.edit", [_domain_subject(row)], payload)
        return row

    @operation("domain.delete")
    def delete_domain(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> None:
        """Remove a domain that nothing is left in."""
        actor.require(Permission.DOMAIN_WRITE)
        with self._writing() as session:
            row: Domain = self._find(session, Domain, uid, "domain")
            self._check_version(row, expected_version, description=row.description)
            for table, what in ((Mailbox, HAS_MAILBOXES), (Alias, HAS_ALIASES)):
                if session.scalar(select(exists().where(table.domain_id == row.id))):
                    raise Conflict(what.format(name=row.name), code="DOMAIN_NOT_EMPTY")
            _refuse_last_of_viewer(session, row)
            self._done(session, actor, "domain.delete", [_domain_subject(row)], {})
            session.delete(row)


def _refuse_last_of_viewer(session: Session, row: Domain) -> None:
    """A Viewer without domains sees all of them, so their last one is not taken from them in passing."""
    viewers = select(Operator).where(Operator.role == Role.VIEWER, Operator.domains.any(Domain.id == row.id))
    names = [viewer.username for viewer in session.scalars(viewers) if len(viewer.domains) == 1]
    if names:
        raise Conflict(
            f"{row.name} is the only domain that {', '.join(names)} may see; change that first.", code="DOMAIN_IN_USE"
        )


def _server_subject(row: Server) -> Subject:
    return Subject("server", row.uid, row.name, server_id=row.id)


def _domain_subject(row: Domain) -> Subject:
    return Subject("domain", row.uid, row.name, row.name, row.server_id)


def _check_name(name: str) -> str:
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise InvalidInput("A name has 1 to 80 visible characters.", code="INVALID_NAME")
    return name.strip()
