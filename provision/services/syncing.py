"""Sync by a person: push, retry, import, resolve a difference."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict
from provision.core.plan import Plan
from provision.core.state import Key, Resource
from provision.core.texts import N_
from provision.services.adopting import Adoption, PullResult
from provision.services.comparing import LIMIT, Comparison, compare
from provision.services.resolving import Resolution, Winner
from provision.services.servers import server_subject
from provision.services.writing import Delivery, done, find, intend, operation, writing
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.models import TABLES, Alias, Mailbox, Server, SyncStatus
from provision.storage.scope import own_addresses, scope
from provision.sync.engine import Sync
from provision.sync.result import PushResult


@dataclass(frozen=True, slots=True)
class Syncing:
    database: Database
    settings: Settings
    sync: Sync
    delivery: Delivery

    @operation(Operation.SYNC_PUSH)
    def push(self, actor: Actor, server_id: UUID, *, seconds: float | None = None) -> PushResult:
        """Deliver everything that waits for this server, now. `seconds`: longest to wait for it; None: to the end."""
        actor.require(Permission.SYNC_PUSH)
        result = self._push_now(self._server(server_id), seconds)
        is_own = own_addresses(self.database, actor)  # the push is of the whole server; whose addresses it names is not
        return replace(result, failures=[failure for failure in result.failures if is_own(failure.address)])

    @operation(Operation.SYNC_FORCE)
    def force_push(self, actor: Actor, server_id: UUID, *, seconds: float | None = None) -> PushResult:
        """Deliver although the plan is unsafe: a person has looked at it and means it. `seconds`: as for `push`."""
        actor.require(Permission.SYNC_FORCE)
        server = self._server(server_id)
        with writing(self.database) as session:
            done(session, actor, Operation.SYNC_FORCE, [server_subject(server)], {"alarm": server.alarm})
        return self._push_now(server, seconds, force=True)

    def _push_now(self, server: Server, seconds: float | None, *, force: bool = False) -> PushResult:
        if seconds is None:
            return self.sync.push(server.id, ignore_backoff=True, force=force)
        return self.sync.push_within(server.id, seconds, ignore_backoff=True, force=force)

    @operation(Operation.SYNC_PREVIEW)
    def preview(self, actor: Actor, server_id: UUID) -> Plan:
        """What a push would do, and everything on which the two sides differ. Raises: Unreachable."""
        actor.require(Permission.SYNC_READ)
        server = self._server(server_id)
        plan, _ = self.sync.preview(server.id)
        return self._shown(plan, actor)

    @operation(Operation.SYNC_PREVIEW)
    def compare(self, actor: Actor, server_id: UUID, *, search: str = "", limit: int = LIMIT) -> Comparison:
        """The preview with the values of both sides, to read. `limit`: entries of each kind. Raises: Unreachable."""
        actor.require(Permission.SYNC_READ)
        plan, wanted, actual = self.sync.survey(self._server(server_id).id)
        shown = self._shown(plan, actor)
        return compare(shown, wanted, actual, search, limit)

    @operation(Operation.SYNC_RETRY)
    def retry(self, actor: Actor, resource: Resource, uid: UUID) -> None:
        """Try one FAILED or waiting row again, now."""
        self._retry(actor, [(resource, uid)], ignore_backoff=False)

    @operation(Operation.SYNC_RETRY)
    def retry_many(self, actor: Actor, keys: Sequence[tuple[Resource, UUID]]) -> None:
        """The same for several, with one push of each mail server."""
        self._retry(actor, keys, ignore_backoff=True)

    def _retry(self, actor: Actor, keys: Sequence[tuple[Resource, UUID]], *, ignore_backoff: bool) -> None:
        actor.require(Permission.SYNC_PUSH)
        with writing(self.database) as session:
            rows = [_row(session, resource, uid) for resource, uid in keys]
            for row in rows:
                actor.require(Permission.SYNC_PUSH, row)
            _retry_rows(session, actor, rows)
        self.delivery.push({row.server_id for row in rows}, ignore_backoff=ignore_backoff)

    @operation(Operation.SYNC_RETRY_ALL)
    def retry_all(self, actor: Actor, server_id: UUID | None = None) -> int:
        """Try everything again that is FAILED or waits; returns how many rows."""
        actor.require(Permission.SYNC_PUSH)
        server = self._server(server_id) if server_id else None
        rows: list[Mailbox | Alias] = []
        with writing(self.database) as session:
            for table in TABLES.values():
                statement = select(table).where(table.sync_status != SyncStatus.SYNCED).with_for_update(of=table)
                if server:
                    statement = statement.where(table.server_id == server.id)
                rows += session.scalars(statement.where(*scope(actor, table.domain_id)))
            _retry_rows(session, actor, rows)
        self.delivery.push({row.server_id for row in rows}, ignore_backoff=True)
        return len(rows)

    # ---- pull and resolve ------------------------------------------------------------------

    @operation(Operation.SYNC_PULL)
    def pull(self, actor: Actor, server_id: UUID, *, force: bool = False) -> PullResult:
        """Import what is on the server and unknown here; `force`: the server's values win over differing ones.

        Nothing changes on the server. Raises: Unreachable.
        """
        actor.require(Permission.SYNC_PULL)
        server = self._server(server_id)
        with self._only_writer(server):
            plan, wanted, actual = self.sync.survey(server.id)
            result = PullResult()
            shown = self._shown(plan, actor)
            result.errors += [N_(f"{u.where}: {u.text}: {u.reason}.") for u in shown.unmanageable]
            result.missing = [key.address for key in shown.missing]
            with writing(self.database) as session:
                adoption = Adoption(session, actor, server, wanted, actual)
                adoption.import_unknown(shown.unknown, result)
                if force:
                    adoption.take_values([d.key for d in (*plan.differing, *plan.conflicts)], result)
                payload = {"force": force, "imported": result.imported, "updated": result.updated}
                done(session, actor, Operation.SYNC_PULL, [server_subject(server)], payload)
        return result

    @contextmanager
    def _only_writer(self, server: Server) -> Iterator[None]:
        """From reading the server to taking over: a push in between could delete what is just being imported."""
        with self.database.server_lock(server.id, self.settings.page_budget_seconds) as locked:
            if not locked:
                raise Conflict(f"Changes are being sent to {server.name}; try again in a moment.", code="SERVER_BUSY")
            yield

    @operation(Operation.SYNC_RESOLVE)
    def resolve(self, actor: Actor, server_id: UUID, key: Key, winner: Winner) -> None:
        """Resolve one difference either way. Raises: NotFound when there is none any more."""
        actor.require(Permission.SYNC_PUSH)
        self._resolve(actor, self._server(server_id), [key], winner)

    @operation(Operation.SYNC_RESOLVE)
    def resolve_many(self, actor: Actor, server_id: UUID, keys: Sequence[Key], winner: Winner) -> None:
        """The same for several at once: all of them, or none."""
        actor.require(Permission.SYNC_PUSH)
        self._resolve(actor, self._server(server_id), keys, winner)

    @operation(Operation.SYNC_RESOLVE_ALL)
    def resolve_all(self, actor: Actor, server_id: UUID, winner: Winner) -> int:
        """Resolve every difference of values one way; what only one side has is left for single choices."""
        actor.require(Permission.SYNC_PUSH)
        return self._resolve(actor, self._server(server_id), None, winner)

    def _resolve(self, actor: Actor, server: Server, keys: Sequence[Key] | None, winner: Winner) -> int:
        """`keys` None: every difference of values in their domains."""
        with self._only_writer(server):
            plan, wanted, actual = self.sync.survey(server.id)
            if keys is None:
                shown = self._shown(plan, actor)
                keys = list(dict.fromkeys(d.key for d in (*shown.differing, *shown.conflicts)))
            if not keys:
                return 0
            with writing(self.database) as session:
                adoption = Adoption(session, actor, server, wanted, actual)
                Resolution(session, actor, plan, adoption).resolve(keys, winner)
        if winner is Winner.DASHBOARD:
            self.delivery.push([server.id], ignore_backoff=True)
        return len(keys)

    # ---- helpers ---------------------------------------------------------------------------

    def _server(self, uid: UUID) -> Server:
        with self.database.read() as session:
            return find(session, Server, uid)

    def _shown(self, plan: Plan, actor: Actor) -> Plan:
        """The part that is about the actor's domains; the whole is not gone through where they have all of them."""
        return plan if actor.domains is None else plan.within(own_addresses(self.database, actor))


def _row(session: Session, resource: Resource, uid: UUID) -> Mailbox | Alias:
    return find(session, Alias, uid) if resource is Resource.ALIAS else find(session, Mailbox, uid)


def _retry_rows(session: Session, actor: Actor, rows: Sequence[Mailbox | Alias]) -> None:
    """Failed rows are wanted anew; the record of the failure is finished, so a new intent is written."""
    failed = [row for row in rows if row.failed_generation == row.generation]
    for row in rows:
        row.attempts, row.next_attempt_at, row.failed_generation = 0, None, 0
    servers = {row.server_id for row in rows}
    session.execute(update(Server).where(Server.id.in_(servers)).values(attempts=0, next_attempt_at=None))
    intend(session, actor, Operation.SYNC_RETRY, failed, {})
