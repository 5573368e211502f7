"""Sync: read → plan → apply → record. The only caller of a mail server.

A push delivers what is due on one server as one batch, under a lock that makes it the server's only writer. It may be
repeated and killed at any point: it always starts from what the server really holds, and a row is SYNCED only when
that was read back. No transaction is open while a server is spoken to.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session, undefer

from provision.core.errors import MailServerError, NotFound, Unreachable, UnsafePlan
from provision.core.plan import Plan, make_plan, warnings_of
from provision.core.secret import hide, secrets_in
from provision.core.state import DesiredState, LiveReport, Resource, ServerState
from provision.core.texts import N_
from provision.core.traits import Traits
from provision.servers.kinds import open_server, traits_of
from provision.servers.protocol import MailServer, TellsLive
from provision.settings.config import Settings
from provision.settings.policy import in_force
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import Server, utc_now
from provision.storage.sealed import open_settings
from provision.sync.delivery import deliver
from provision.sync.progress import end_stale_confirmations, note_usage
from provision.sync.recording import PushAttempt, pause, record
from provision.sync.result import PushResult, PushStatus
from provision.sync.rules import note_rules
from provision.sync.work import (
    LONGEST_SILENCE,
    Work,
    has_pending,
    has_unconfirmed,
    load_whole,
    load_work,
    other_addresses,
)
from provision.telemetry import metrics

log = structlog.get_logger(__name__)

REPEATS = 3  # rounds for what another writer overwrote while we were at it
LOCK_SHARE = 0.5  # of the budget is spent on waiting for another push at most

Chunks = Generator[tuple[Work, PushAttempt], None, None]


class Sync:
    """Brings mail servers to the state the database wants. `open_kind` opens a server's driver."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        settings: Settings,
        open_kind: Callable[[str, dict[str, Any], float], MailServer] = open_server,
    ) -> None:
        self.database = database
        self.sealer = sealer
        self.settings = settings
        self.open_kind = open_kind

    # ---- push ------------------------------------------------------------------------------

    def push(
        self, server_id: int, *, ignore_backoff: bool = False, force: bool = False, budget_seconds: float | None = None
    ) -> PushResult:
        """Deliver what is due. `ignore_backoff`: also what waits for its next try or for the quiet time to pass;
        `force`: even when the plan is unsafe. A server that is down is a result, not an exception."""
        budget = budget_seconds or self.settings.page_budget_seconds
        with self.database.server_lock(server_id, budget * LOCK_SHARE) as locked:
            if not locked:
                return PushResult(
                    server_id, PushStatus.LOCKED, message=N_("Another push to this mail server is running.")
                )
            with metrics.timed_push():
                return self._push_locked(server_id, ignore_backoff, force, time.monotonic() + budget)

    def push_within(
        self, server_id: int, seconds: float, *, ignore_backoff: bool = False, force: bool = False
    ) -> PushResult:
        """As `push`, for somebody who waits: after so long they go on, and so does the push, behind them."""
        done: Future[PushResult] = Future()

        def work() -> None:
            try:
                done.set_result(
                    self.push(server_id, ignore_backoff=ignore_backoff, force=force, budget_seconds=seconds)
                )
            except Exception as error:
                log.warning(
                    "push ended early", server_id=server_id, reason=type(error).__name__
                )  # who waited may be gone
                done.set_exception(error)

        Thread(target=copy_context().run, args=(work,), name="postroom-push", daemon=True).start()
        try:
            return done.result(seconds)
        except TimeoutError:
            return PushResult(
                server_id, PushStatus.SLOW, message=N_("The mail server is slow; it goes on in the background.")
            )

    def _push_locked(self, server_id: int, ignore_backoff: bool, force: bool, deadline: float) -> PushResult:
        total = PushResult(server_id, PushStatus.IDLE)
        for left in reversed(range(REPEATS)):
            result, again = self._push_once(server_id, ignore_backoff, force, deadline, is_last=left == 0)
            total.add(result)
            if not again or time.monotonic() > deadline:
                break
        return total

    def _push_once(
        self, server_id: int, ignore_backoff: bool, force: bool, deadline: float, *, is_last: bool
    ) -> tuple[PushResult, bool]:
        """One round; and whether another is worth it. After the last one, what keeps vanishing counts as refused."""
        now = utc_now()
        end_stale_confirmations(self.database, server_id, now)
        with self.database.read() as session:
            server = _get_server(session, server_id)
            cap = timedelta(seconds=in_force(session, self.settings).retry_cap_seconds)
            longest = None if ignore_backoff else cap
            is_pending = has_pending(session, server_id, now, longest)
            if not is_pending and not has_unconfirmed(session, server_id):
                return PushResult(
                    server.id, PushStatus.IDLE, message=N_("Nothing is waiting for this mail server.")
                ), False
            if not (ignore_backoff or force) and (wait := self._must_wait(server, is_pending, now, cap)):
                return wait, False
            work = load_work(session, self.sealer, server_id, now, longest)
        total, again = PushResult(server_id, PushStatus.IDLE), False
        try:
            with closing(self._deliver(server, work, force, deadline)) as chunks:
                for part, done in chunks:
                    total.add(self._record(server, part, done, is_last or time.monotonic() > deadline))
                    again = again or (bool(done.vanished) and not done.unreachable)
        except Unreachable as error:
            total.add(self._back_off(server, error))
        except UnsafePlan as error:
            total.add(self._raise_alarm(server, error))
        return total, again and total.status is PushStatus.DONE

    @staticmethod
    def _must_wait(server: Server, is_pending: bool, now: datetime, cap: timedelta) -> PushResult | None:
        longest = LONGEST_SILENCE if server.silent_until == server.next_attempt_at else cap
        if server.next_attempt_at and now < server.next_attempt_at <= now + longest:
            message = server.error or N_("The mail server could not be reached.")
            return PushResult(server.id, PushStatus.UNREACHABLE, message=message, retry_at=server.next_attempt_at)
        if is_pending and (until := quiet_until(server, now)):
            message = N_("Gathered with what else comes now, because every write interrupts the mail server.")
            return PushResult(server.id, PushStatus.GATHERING, message=message, retry_at=until)
        return None

    def _deliver(self, server: Server, work: Work, force: bool, deadline: float) -> Chunks:
        """Raises: Unreachable before anything was written, UnsafePlan."""

        def others() -> dict[Resource, list[str]]:
            with self.database.read() as session:
                return other_addresses(session, server.id, work.items)

        settings = open_settings(server, self.sealer)
        with self._opened(server.kind, settings, max(1.0, deadline - time.monotonic())) as mail_server:
            for part, done in deliver(mail_server, work, server.accounts, others, force=force):
                done.hide(secrets_in(settings))
                yield part, done

    @contextmanager
    def _opened(
        self, kind: str, settings: Mapping[str, Any], timeout_seconds: float | None = None
    ) -> Iterator[MailServer]:
        """The driver. What it says of its trouble holds none of its secret settings. Raises: MailServerError."""
        opened = self.open_kind(kind, dict(settings), timeout_seconds or self.settings.page_budget_seconds)
        try:
            with closing(opened) as mail_server:
                yield mail_server
        except MailServerError as error:
            error.reword(hide(error.message, secrets_in(settings)))
            raise

    # ---- recording -------------------------------------------------------------------------

    def _record(self, server: Server, work: Work, done: PushAttempt, is_last: bool) -> PushResult:
        now = utc_now()
        result = PushResult(server.id, PushStatus.DONE)
        with self.database.write() as session:
            wrote = {"last_write_at": now} if done.outcomes else {}
            counted = {} if done.accounts is None else {"last_read_at": now, "accounts": done.accounts}
            well = {"error": None, "alarm": None, "attempts": 0, "next_attempt_at": None, "silent_until": None}
            session.execute(update(Server).where(Server.id == server.id).values(**well, **counted, **wrote))
            record(session, work, done, in_force(session, self.settings), now, result, is_last=is_last)
        if done.actual:
            note_rules(self.database, server.id, done.actual, whole=False)
        if done.unreachable:
            result.add(self._back_off(server, done.unreachable))
        return result

    def _back_off(self, server: Server, error: Unreachable) -> PushResult:
        """Nothing reached the server: it waits, its rows keep their attempts."""
        attempts, now, silent_until = server.attempts + 1, utc_now(), _silent_until(error)
        with self.database.write() as session:
            retry_at = now + timedelta(seconds=pause(attempts, in_force(session, self.settings)))
            retry_at = max(retry_at, silent_until or retry_at)
            values = {"attempts": attempts, "next_attempt_at": retry_at, "silent_until": silent_until}
            session.execute(update(Server).where(Server.id == server.id).values(error=error.message, **values))
        log.warning("mail server unreachable", server=server.name, attempts=attempts, reason=error.message)
        return PushResult(server.id, PushStatus.UNREACHABLE, message=error.message, retry_at=retry_at)

    def _raise_alarm(self, server: Server, unsafe: UnsafePlan) -> PushResult:
        with self.database.write() as session:
            session.execute(
                update(Server).where(Server.id == server.id).values(alarm=unsafe.facts, last_read_at=utc_now())
            )
        log.error("unsafe plan", server=server.name, reason=unsafe.facts)
        return PushResult(server.id, PushStatus.UNSAFE, message=unsafe.message)

    # ---- reading ---------------------------------------------------------------------------

    def read(self, server_id: int) -> tuple[ServerState, Traits]:
        """What the server holds, and what its kind can. Raises: Unreachable."""
        with self.database.read() as session:
            server = _get_server(session, server_id)
        with self._opened(server.kind, open_settings(server, self.sealer)) as mail_server:
            return mail_server.read(), mail_server.traits

    def addresses_in(self, server_id: int, domain: str) -> list[str]:
        """Every address of a domain that has an entry on the server; empty where the server does not answer."""
        try:
            actual, _ = self.read(server_id)
        except MailServerError:
            return []
        found = {address for resource in Resource for address in actual.addresses(resource)}
        return sorted(address for address in found if address.rpartition("@")[2] == domain)

    def probe(self, server_id: int) -> None:
        """Read the server and note its health; a running one also says how much space each mailbox uses."""
        with self.database.read() as session:
            server = _get_server(session, server_id)
        if server.silent_until and utc_now() < server.silent_until:
            return
        report: LiveReport | None = None
        values: dict[str, Any]
        try:
            with self._opened(server.kind, open_settings(server, self.sealer)) as mail_server:
                actual, values = mail_server.read(), {}
                self._note(server_id, actual)
                if not server.attempts or not mail_server.check():  # what can be read can still refuse to be written
                    values = {"error": None, "attempts": 0, "next_attempt_at": None}
                if server.alarm and self._is_safe(server_id, actual, mail_server.traits):
                    values["alarm"] = None
                if isinstance(mail_server, TellsLive):
                    report = mail_server.report()
        except MailServerError as error:
            values = {"error": error.message, "silent_until": _silent_until(error)}
        with self.database.write() as session:
            if report:
                values["live"] = note_usage(session, server_id, report)
            if values:
                session.execute(update(Server).where(Server.id == server_id).values(values))

    def _is_safe(self, server_id: int, actual: ServerState, traits: Traits) -> bool:
        """Whether what raised an alarm has come back."""
        try:
            self._compare(server_id, actual, traits)[0].require_safe()
        except UnsafePlan:
            return False
        return True

    def preview(self, server_id: int) -> tuple[Plan, ServerState]:
        """The whole comparison, without doing anything. Raises: Unreachable."""
        plan, _, actual = self.survey(server_id)
        return plan, actual

    def survey(self, server_id: int) -> tuple[Plan, DesiredState, ServerState]:
        """The same, with the side that is wanted."""
        actual, traits = self.read(server_id)
        self._note(server_id, actual)
        return *self._compare(server_id, actual, traits), actual

    def _note(self, server_id: int, actual: ServerState) -> None:
        """That it was read, and what stands with its row of what it holds."""
        values = {"last_read_at": utc_now(), "accounts": len(actual.addresses(Resource.MAILBOX))}
        with self.database.write() as session:
            session.execute(update(Server).where(Server.id == server_id).values(values))
        note_rules(self.database, server_id, actual, whole=True)

    def _compare(self, server_id: int, actual: ServerState, traits: Traits) -> tuple[Plan, DesiredState]:
        with self.database.read() as session:
            wanted = load_whole(session, self.sealer, server_id, utc_now())
        return make_plan(wanted, actual, traits), wanted

    def check(self, kind: str, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with settings that are not stored yet, as sentences."""
        with self._opened(kind, settings) as mail_server:
            return [hide(problem, secrets_in(settings)) for problem in mail_server.check()]

    def check_server(self, server_id: int) -> list[str]:
        """What is wrong with a server or its settings, as sentences."""
        with self.database.read() as session:
            server = _get_server(session, server_id)
        return self.check(server.kind, open_settings(server, self.sealer))

    def warnings(self, server_id: int) -> list[str]:
        """What is wrong with what is on a server, as sentences; none where it cannot be read."""
        try:
            actual, _ = self.read(server_id)
        except MailServerError:
            return []
        self._note(server_id, actual)
        return warnings_of(actual)


def quiet_seconds(server: Server) -> float:
    """How long changes are gathered after a write."""
    if server.quiet_seconds is not None:
        return server.quiet_seconds
    return traits_of(server.kind).quiet.seconds_for(server.accounts)


def quiet_until(server: Server, now: datetime) -> datetime | None:
    """Until when changes are gathered, if they are now."""
    if server.last_write_at is None or server.last_write_at > now:
        return None
    until = server.last_write_at + timedelta(seconds=quiet_seconds(server))
    return until if now < until else None


def _silent_until(error: MailServerError) -> datetime | None:
    """Until when the server wants to hear nothing, where it said so."""
    asked = error.retry_after if isinstance(error, Unreachable) else None
    return utc_now() + min(timedelta(seconds=asked), LONGEST_SILENCE) if asked else None


def _get_server(session: Session, server_id: int) -> Server:
    server = session.get(Server, server_id, options=[undefer(Server.sealed_settings)])
    if server is None:
        raise NotFound("This mail server is not known here.", code="SERVER_NOT_FOUND")
    return server
