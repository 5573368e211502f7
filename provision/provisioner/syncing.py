"""Sync by a person: push, retry, import, resolve a difference, check a password."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision import address as addresses
from provision.access import Actor, Permission
from provision.audit import Subject
from provision.credentials import check_login
from provision.errors import Conflict, NotFound
from provision.models import Alias, Domain, Mailbox, Server, Status, SyncStatus
from provision.plan import Plan
from provision.provisioner.adopting import Adoption, PullResult
from provision.provisioner.base import Base, operation, subject_of
from provision.provisioner.comparing import LIMIT, Comparison, compare
from provision.pushes import PushResult
from provision.secret import Secret
from provision.state import Key, Resource

TABLES: dict[Resource, type[Any]] = {Resource.MAILBOX: Mailbox, Resource.ALIAS: Alias}


class Winner(StrEnum):
    DASHBOARD = "dashboard"
    SERVER = "server"


class SyncWrites(Base):
    @operation("sync.push")
    def push(self, actor: Actor, server_id: UUID, *, seconds: float | None = None) -> PushResult:
        """Deliver everything that waits for this server, now. `seconds`: longest to wait for it; None: to the end."""
        actor.require(Permission.SYNC_PUSH)
        return self._push_now(self._server(server_id), seconds)

    @operation("sync.force")
    def push_unsafe(self, actor: Actor, server_id: UUID, *, seconds: float | None = None) -> PushResult:
        """Deliver although the plan is unsafe: a person has looked at it and means it. `seconds`: as for `push`."""
        actor.require(Permission.SYNC_FORCE)
        server = self._server(server_id)
        with self._writing() as session:
            subject = Subject("server", server.uid, server.name, server_id=server.id)
            self._done(session, actor, "sync.force", [subject], {"alarm": server.alarm})
        return self._push_now(server, seconds, force=True)

    def _push_now(self, server: Server, seconds: float | None, *, force: bool = False) -> PushResult:
        if seconds is None:
            return self.sync.push(server.id, hurry=True, force=force)
        return self.sync.push_within(server.id, seconds, hurry=True, force=force)

    @operation("sync.preview")
    def preview(self, actor: Actor, server_id: UUID) -> Plan:
        """What a push would do, and everything on which the two sides differ. Raises: Unreachable."""
        actor.require(Permission.SYNC_READ)
        server = self._server(server_id)
        plan, _ = self.sync.preview(server.id)
        return plan if actor.domains is None else self._within(plan, actor)

    @operation("sync.preview")
    def compare(self, actor: Actor, server_id: UUID, *, search: str = "", limit: int = LIMIT) -> Comparison:
        """The preview with the values of both sides, for reading. `limit`: entries of each kind. Raises: Unreachable."""
        actor.require(Permission.SYNC_READ)
        plan, wanted, actual = self.sync.survey(self._server(server_id).id)
        shown = plan if actor.domains is None else self._within(plan, actor)
        return compare(shown, wanted, actual, search, limit)

    @operation("sync.retry")
    def retry(self, actor: Actor, resource: Resource, uid: UUID) -> None:
        """Try one FAILED or waiting row again, now."""
        self._retry(actor, [(resource, uid)], hurry=False)

    @operation("sync.retry")
    def retry_many(self, actor: Actor, keys: Sequence[tuple[Resource, UUID]]) -> None:
        """The same for several, with one push of each mail server."""
        self._retry(actor, keys, hurry=True)

    def _retry(self, actor: Actor, keys: Sequence[tuple[Resource, UUID]], *, hurry: bool) -> None:
        actor.require(Permission.SYNC_PUSH)
        with self._writing() as session:
            rows = [self._find(session, TABLES[resource], uid, resource) for resource, uid in keys]
            for row in rows:
                actor.require(Permission.SYNC_PUSH, row.domain_id, what=row.address)
            self._retry_rows(session, actor, rows)
        self._push({row.server_id for row in rows}, hurry=hurry)

    @operation("sync.retry_all")
    def retry_all(self, actor: Actor, server_id: UUID | None = None) -> int:
        """Try everything again that is FAILED or waits; returns how many rows."""
        actor.require(Permission.SYNC_PUSH)
        server = self._server(server_id) if server_id else None
        rows: list[Mailbox | Alias] = []
        with self._writing() as session:
            for table in TABLES.values():
                statement = select(table).where(table.sync_status != SyncStatus.SYNCED).with_for_update(of=table)
                if server:
                    statement = statement.where(table.server_id == server.id)
                if actor.domains is not None:
                    statement = statement.where(table.domain_id.in_(actor.domains))
                rows += session.scalars(statement)
            self._retry_rows(session, actor, rows)
        self._push({row.server_id for row in rows}, hurry=True)
        return len(rows)

    def _retry_rows(self, session: Session, actor: Actor, rows: Sequence[Mailbox | Alias]) -> None:
        """Failed rows are wanted anew; the record of the failure is finished, so a new intent is written."""
        failed = [row for row in rows if row.failed_generation == row.generation]
        for row in rows:
            row.attempts, row.next_attempt_at, row.failed_generation = 0, None, 0
        servers = {row.server_id for row in rows}
        session.execute(update(Server).where(Server.id.in_(servers)).values(attempts=0, next_attempt_at=None))
        self._intend(session, actor, "sync.retry", failed, [{}] * len(failed))

    # ---- pull and resolve ------------------------------------------------------------------

    @operation("sync.pull")
    def pull(self, actor: Actor, server_id: UUID, *, force: bool = False) -> PullResult:
        """Import what is on the server and unknown here; `force`: the server's values win over differing ones.

        Nothing changes on the server. Raises: Unreachable.
        """
        actor.require(Permission.SYNC_PULL)
        server = self._server(server_id)
        plan, actual = self.sync.preview(server.id)
        result = PullResult()
        shown = plan if actor.domains is None else self._within(plan, actor)
        result.errors += [f"{u.where}: {u.text}: {u.reason}." for u in shown.unmanageable]
        result.missing = [key.address for key in shown.missing]
        with self._writing() as session:
            adoption = Adoption(self, session, actor, server, actual)
            adoption.import_unknown(shown.unmanaged, result)
            if force:
                adoption.take_values([d.key for d in (*plan.differing, *plan.conflicts)], result)
            subject = Subject("server", server.uid, server.name, server_id=server.id)
            payload = {"force": force, "imported": result.imported, "updated": result.updated}
            self._done(session, actor, "sync.pull", [subject], payload)
        return result

    @operation("sync.resolve")
    def resolve(self, actor: Actor, server_id: UUID, key: Key, winner: Winner) -> None:
        """Settle one difference either way. Raises: NotFound when there is none any more."""
        actor.require(Permission.SYNC_PUSH)
        self._resolve(actor, self._server(server_id), [key], winner)

    @operation("sync.resolve")
    def resolve_many(self, actor: Actor, server_id: UUID, keys: Sequence[Key], winner: Winner) -> None:
        """The same for several at once: all of them, or none."""
        actor.require(Permission.SYNC_PUSH)
        self._resolve(actor, self._server(server_id), keys, winner)

    @operation("sync.resolve_all")
    def resolve_all(self, actor: Actor, server_id: UUID, winner: Winner) -> int:
        """Settle every difference of values one way; what only one side has is left for single choices."""
        actor.require(Permission.SYNC_PUSH)
        server = self._server(server_id)
        plan, _ = self.sync.preview(server.id)
        if actor.domains is not None:
            plan = self._within(plan, actor)
        keys = list(dict.fromkeys(d.key for d in (*plan.differing, *plan.conflicts)))
        if keys:
            self._resolve(actor, server, keys, winner)
        return len(keys)

    def _resolve(self, actor: Actor, server: Server, keys: Sequence[Key], winner: Winner) -> None:
        plan, actual = self.sync.preview(server.id)
        unmanaged, missing = set(plan.unmanaged), set(plan.missing) | set(plan.lost)
        differing = {d.key for d in (*plan.differing, *plan.conflicts)}
        with self._writing() as session:
            adoption = Adoption(self, session, actor, server, actual)
            for key in keys:
                self._require_key(session, actor, key)
                if key not in unmanaged | missing | differing:
                    raise NotFound(f"{key.address} does not differ any more.", code="NO_DIFFERENCE")
                if winner is Winner.DASHBOARD:
                    self._dashboard_wins(
                        session, actor, server, key, is_unmanaged=key in unmanaged, is_gone=key in missing
                    )
                elif key in missing:
                    self._drop(session, actor, key)
                elif key in unmanaged:
                    adoption.import_unknown([key], PullResult())
            if winner is Winner.SERVER:
                adoption.take_values([key for key in keys if key in differing], PullResult())
        if winner is Winner.DASHBOARD:
            self._push([server.id], hurry=True)

    def _dashboard_wins(
        self, session: Session, actor: Actor, server: Server, key: Key, *, is_unmanaged: bool, is_gone: bool
    ) -> None:
        """What only the server has is removed there; ours is sent again."""
        if is_unmanaged:
            row = _tombstone(session, server, key)
        else:
            row = self._row_of(session, key)
            if isinstance(row, Mailbox) and row.sealed_password is None and is_gone:
                raise Conflict(
                    f"{key.address} is gone from the mail server, and its password is not kept here. Reset its password: "
                    "that makes it anew.", code="MAILBOX_GONE",
                )  # fmt: skip
            row.claimed = True
            self._want(row)
        self._intend(session, actor, "sync.dashboard_wins", [row], [{"removed": is_unmanaged}])

    def _drop(self, session: Session, actor: Actor, key: Key) -> None:
        """Ours, gone from the server, and the server is right: forget the row."""
        row = self._row_of(session, key)
        self._give_up(session, [row], "Given up: it is gone from the mail server, and the server was right.")
        self._done(session, actor, "sync.server_wins", [subject_of(row)], {"dropped": True})
        session.delete(row)

    def _row_of(self, session: Session, key: Key) -> Any:
        table = TABLES[key.resource]
        row = session.scalar(select(table).where(table.address == key.address).with_for_update(of=table))
        if row is None:
            raise NotFound(f"{key.address} is not known here.", code="NOT_FOUND")
        return row

    # ---- passwords -------------------------------------------------------------------------

    @operation("mailbox.verify")
    def verify_credentials(self, actor: Actor, uid: UUID, password: Secret) -> bool:
        """Whether the mail server lets this mailbox in with this password. Raises: Unreachable."""
        actor.require(Permission.MAILBOX_WRITE)
        with self.database.read() as session:
            row: Mailbox = self._find(session, Mailbox, uid, "mailbox")
            settings = row.domain.server.settings
            holder = self._holder_role(session, row.address)
        actor.require(Permission.MAILBOX_WRITE, row.domain_id, what=row.address)
        actor.require_rank(holder, row.address)
        accepted = check_login(settings, row.address, password, self.settings.page_budget_seconds)
        with self._writing() as session:
            self._done(session, actor, "mailbox.verify", [subject_of(row)], {"password": "***", "accepted": accepted})
        return accepted

    # ---- helpers ---------------------------------------------------------------------------

    def _server(self, uid: UUID) -> Server:
        with self.database.read() as session:
            row: Server = self._find(session, Server, uid, "server")
        return row

    def _require_key(self, session: Session, actor: Actor, key: Key) -> None:
        """The domain must be his; one that is not set up here yet is for a SuperAdmin."""
        domain = session.scalar(select(Domain).where(Domain.name == addresses.domain_of(key.address)))
        if domain is None:
            actor.require(Permission.DOMAIN_WRITE, what=key.address)
        else:
            actor.require(Permission.SYNC_PUSH, domain.id, what=key.address)
        if key.resource is Resource.MAILBOX:
            actor.require_rank(self._holder_role(session, key.address), key.address)

    def _within(self, plan: Plan, actor: Actor) -> Plan:
        """The part of a plan that is about the actor's own domains."""
        with self.database.read() as session:
            names = set(session.scalars(select(Domain.name).where(Domain.id.in_(actor.domains or ()))))

        def mine(address: str) -> bool:
            return addresses.domain_of(address) in names

        return Plan(
            changes=[c for c in plan.changes if mine(c.address)],
            settled=[k for k in plan.settled if mine(k.address)],
            conflicts=[d for d in plan.conflicts if mine(d.key.address)],
            taken=[k for k in plan.taken if mine(k.address)],
            lost=[k for k in plan.lost if mine(k.address)],
            missing=[k for k in plan.missing if mine(k.address)],
            differing=[d for d in plan.differing if mine(d.key.address)],
            unmanaged=[k for k in plan.unmanaged if mine(k.address)],
            unmanageable=tuple(u for u in plan.unmanageable if mine(u.text)),
            unsupported=[u for u in plan.unsupported if mine(u[0].address)],
            expected=plan.expected,
        )


def _tombstone(session: Session, server: Server, key: Key) -> Mailbox | Alias:
    """A row whose only purpose is to be deleted on the server."""
    name = addresses.domain_of(key.address)
    domain = session.scalar(select(Domain).where(Domain.name == name))
    if domain is None:
        domain = Domain(uid=uuid7(), name=name, server_id=server.id, description="")
        session.add(domain)
        session.flush()
    common = {
        "uid": uuid7(),
        "address": key.address,
        "domain_id": domain.id,
        "server_id": server.id,
        "removing": True,
        "claimed": True,
    }
    row = (
        Mailbox(**common, status=Status.DELETED)
        if key.resource is Resource.MAILBOX
        else Alias(**common, destinations=[])
    )
    row.generation = 1
    session.add(row)
    return row
