"""When and where sync runs: the only module that knows. A thread that looks every second what is due.

Nothing is queued here. What has to be done stands in the rows (due changes, due probes, scheduled tasks), is claimed by
a conditional UPDATE or the per-server lock, and is found again after any crash. Several processes may run this at once.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from provision.app import Postroom
from provision.audit.archive import FOLDER, archive_log, prune
from provision.core.access import Actor
from provision.core.errors import Conflict, ProvisionError
from provision.jobs.scheduled_tasks import run_next_task
from provision.settings.policy import in_force
from provision.storage.models import Server, utc_now
from provision.sync.work import has_work, may_be_tried

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
STOP_SECONDS = 3.0
UPKEEP_EVERY = timedelta(hours=1)
PROBE_EVERY = timedelta(seconds=60)
SCHEDULER = Actor.system("scheduler")


class Jobs:
    """The background work of one process. `start()` and `stop()` may be called once each."""

    def __init__(self, app: Postroom, *, tick_seconds: float = TICK_SECONDS) -> None:
        self.app = app
        self.tick_seconds = tick_seconds
        self._stop = threading.Event()
        self._next_upkeep = utc_now()
        # A task may take minutes; a push of the changes that people make meanwhile must not wait for them.
        self._threads = [
            threading.Thread(target=self._repeat, args=(self.sweep,), name="postroom-sync", daemon=True),
            threading.Thread(target=self._repeat, args=(self.run_tasks,), name="postroom-tasks", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends within seconds; what was under way is found again by the next process."""
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS / len(self._threads))

    def _repeat(self, work: Callable[[], object]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except ProvisionError as error:  # the database is away, say: it is looked at again in a moment
                log.warning("background work failed", work=work.__name__, reason=error.message)
            except Exception:
                log.exception("background work failed", work=work.__name__)
            self._stop.wait(self.tick_seconds)

    # ---- what is due -----------------------------------------------------------------------

    def sweep(self) -> None:
        """Push what is due, look after servers that were not read for a while, import where that is asked for."""
        now = utc_now()
        with self.app.database.read() as session:  # one look for all, since it is made each second for ever
            rules = in_force(session, self.app.settings)
            with_work = self._servers_with_work(session, now, timedelta(seconds=rules.retry_cap_seconds))
            unread = _whose_turn(session, "last_probe_at", now, PROBE_EVERY)
            every = timedelta(seconds=rules.auto_import_interval)
            to_import = rules.enable_auto_import and _whose_turn(session, "last_import_at", now, every)
        for server_id in with_work:
            self._quietly(self.app.sync.push, server_id)
        for server_id in self._claim(unread, "last_probe_at", now, PROBE_EVERY):
            self._quietly(self.app.sync.probe, server_id)
        if to_import:
            self.auto_import(now)

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def auto_import(self, now: datetime | None = None, actor: Actor = SCHEDULER) -> list[int]:
        """Import from every server whose turn it is; returns their ids. Also called from outside (cron)."""
        every = timedelta(seconds=self.app.services.policy.now().auto_import_interval)
        now = now or utc_now()
        with self.app.database.read() as session:
            candidates = _whose_turn(session, "last_import_at", now, every)
        claimed = self._claim(candidates, "last_import_at", now, every)
        for server_id in claimed:
            self._quietly(partial(self._pull, actor), server_id)
        return claimed

    def run_tasks(self) -> None:
        while not self._stop.is_set() and run_next_task(self.app):
            pass
        if self._next_upkeep <= utc_now():
            self._next_upkeep = utc_now() + UPKEEP_EVERY
            self.upkeep()

    def upkeep(self) -> None:
        """Forget what is not needed any more; move old records away where that is asked for. One process at a time."""
        settings = self.app.settings
        with self.app.database.upkeep_lock() as locked:
            if locked:
                prune(self.app.database)
            if locked and settings.log_retention_days:
                before = utc_now() - timedelta(days=settings.log_retention_days)
                archive_log(self.app.database, settings.data_dir / FOLDER, before, SCHEDULER)

    def _pull(self, actor: Actor, server_id: int) -> None:
        with self.app.database.read() as session:
            uid = session.scalars(select(Server.uid).where(Server.id == server_id)).one()
        try:
            self.app.services.sync.pull(actor, uid)
        except Conflict as conflict:
            if conflict.code == "SERVER_BUSY":  # it is this one's turn again in a moment
                with self.app.database.write() as session:
                    session.execute(update(Server).where(Server.id == server_id).values(last_import_at=None))
            raise

    @staticmethod
    def _servers_with_work(session: Session, now: datetime, longest: timedelta) -> list[int]:
        """Servers that may be tried now and have rows that are due, or delivered a moment ago and not confirmed."""
        come = may_be_tried(now, longest)
        free = select(Server.id, Server.kind).where(come, Server.alarm.is_(None)).order_by(Server.id)
        found = session.execute(free).all()
        return [server.id for server in found if has_work(session, server.id, server.kind, now, longest)]

    def _claim(self, candidates: Sequence[int], column: str, now: datetime, every: timedelta) -> list[int]:
        """The servers whose turn it is, each given to one process only."""
        due = _is_turn(column, now, every)
        claimed = []
        for server_id in candidates:
            with self.app.database.write() as session:
                took = session.execute(update(Server).where(Server.id == server_id, due).values({column: now}))
                if took.rowcount == 1:  # type: ignore[attr-defined]
                    claimed.append(server_id)
        return claimed

    @staticmethod
    def _quietly(work: Callable[[int], object], server_id: int) -> None:
        """One server's trouble is in its row and its log; the others must not suffer from it."""
        try:
            work(server_id)
        except ProvisionError as error:
            log.warning("server skipped", server_id=server_id, reason=error.message)
        except Exception:
            log.exception("server skipped", server_id=server_id)


def _whose_turn(session: Session, column: str, now: datetime, every: timedelta) -> Sequence[int]:
    return session.scalars(select(Server.id).where(_is_turn(column, now, every))).all()


def _is_turn(column: str, now: datetime, every: timedelta) -> ColumnElement[bool]:
    last = getattr(Server, column)
    return or_(last.is_(None), last <= now - every, last > now + every)  # the last: the clock was put back
