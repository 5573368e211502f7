"""The mail servers that are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict, ProvisionError
from provision.core.secret import Secret
from provision.servers.kinds import check_settings, settings_of
from provision.servers.setting import split
from provision.services.checks import check_name, check_version
from provision.services.idempotency import made_earlier, remember
from provision.services.writing import done, find, operation, touch, writing
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import Domain, Server
from provision.storage.sealed import seal_settings, secret_settings
from provision.sync.engine import Sync


@dataclass(frozen=True, slots=True)
class Servers:
    database: Database
    sealer: Sealer
    sync: Sync

    @operation(Operation.SERVER_CREATE)
    def create(
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
        call = (actor, Operation.SERVER_CREATE, idempotency_key, request)
        with writing(self.database) as session:
            if uid := made_earlier(session, *call):
                return find(session, Server, uid)
            if session.scalar(select(Server.id).where(Server.name == name)):
                raise Conflict(f"A mail server called {name} exists already.", code="DUPLICATE_SERVER")
            check_settings(kind, {**shown, **secrets})
            row = Server(name=check_name(name, 80), kind=kind, settings=shown, quiet_seconds=quiet_seconds)
            row.sealed_settings = seal_settings(self.sealer, secrets)
            session.add(row)
            session.flush()
            payload = {"kind": kind, "settings": row.settings}
            done(session, actor, Operation.SERVER_CREATE, [server_subject(row)], payload)
            remember(session, *call, [row.uid])
        return row

    @operation(Operation.SERVER_EDIT)
    def edit(
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
        with writing(self.database) as session:
            row = find(session, Server, uid)
            check_version(row, expected_version, settings=row.settings)
            if settings is not None:
                self._set_settings(row, settings)
                row.attempts, row.next_attempt_at, row.silent_until, row.error, row.alarm = 0, None, None, None, None
            if quiet_seconds is not None:
                row.quiet_seconds = None if quiet_seconds < 0 else quiet_seconds
            touch(row)
            payload = {"settings": row.settings, "quiet_seconds": row.quiet_seconds}
            done(session, actor, Operation.SERVER_EDIT, [server_subject(row)], payload)
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

    @operation(Operation.SERVER_DELETE)
    def delete(self, actor: Actor, uid: UUID) -> None:
        """Forget a mail server that has no domains here. It is not spoken to."""
        actor.require(Permission.SERVER_WRITE)
        with writing(self.database) as session:
            row = find(session, Server, uid)
            if names := session.scalars(select(Domain.name).where(Domain.server_id == row.id).limit(3)).all():
                raise Conflict(
                    f"{row.name} still has {', '.join(names)}; delete its domains first.", code="SERVER_NOT_EMPTY"
                )
            done(session, actor, Operation.SERVER_DELETE, [server_subject(row)], {"settings": row.settings})
            session.delete(row)

    @operation(Operation.SERVER_CHECK)
    def check(self, actor: Actor, uid: UUID) -> list[str]:
        """What is wrong with a mail server or what is on it, as sentences; empty when all is well."""
        actor.require(Permission.SERVER_WRITE)
        with self.database.read() as session:
            row = find(session, Server, uid)
        return [*self.sync.check_server(row.id), *self.sync.warnings(row.id)]

    @operation(Operation.SERVER_CHECK)
    def check_settings(self, actor: Actor, kind: str, settings: Mapping[str, Any]) -> list[str]:
        """The same for a mail server that is not added yet."""
        actor.require(Permission.SERVER_WRITE)
        shown, secrets = split(settings_of(kind), settings, {})
        return self.sync.check(kind, {**shown, **secrets})


def server_subject(row: Server) -> Subject:
    return Subject("server", row.uid, row.name, server_id=row.id)
