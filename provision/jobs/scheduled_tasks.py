"""The one loop for long work: tasks are claimed by a conditional UPDATE and held by a lease, on either database.

A step's work and its record are one transaction, so a kill repeats nothing that was recorded. The task of a process
that died is taken over by any other one when its lease is out; whoever lost a lease cannot commit another step.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from provision.app import Postroom
from provision.core.errors import ProvisionError
from provision.storage.database import Database
from provision.storage.models import ScheduledTask, TaskStatus, utc_now
from provision.storage.tasks import LEASE, LostLease, Step, due, record
from provision.telemetry import serverlog
from provision.transfer import import_jobs

BACKOFF_SECONDS = (30, 300, 3_600, 21_600, 86_400)
LOOKED_AT = 20  # tasks that are due, in one look
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """`run` does what can be done now and returns the last step, having recorded those before it.

    It is begun `max_attempts` times without getting on; then `given_up` is part of the transaction that ends it.
    """

    run: Callable[[Postroom, ScheduledTask], Step]
    max_attempts: int = 5
    given_up: Callable[[Session, UUID], object] = lambda session, subject: None


KINDS = {
    import_jobs.IMPORT: Kind(import_jobs.run_import, given_up=import_jobs.erase_upload),
    import_jobs.FORGET: Kind(import_jobs.forget_rejected),
}


def run_next_task(app: Postroom) -> bool:
    """Do the task that is due for longest as far as it goes; False when there is none."""
    task = claim(app.database)
    if task is None:
        return False
    try:
        _run(app, task, KINDS[task.kind])
    except LostLease:
        log.warning("task taken over by another process", kind=task.kind, subject=str(task.subject))
    return True


def claim(database: Database) -> ScheduledTask | None:
    """The task that is due for longest, for this process alone. Kinds of a newer release are left to it."""
    now = utc_now()
    waiting = select(ScheduledTask.id).where(due(now), ScheduledTask.kind.in_(KINDS))
    with database.read() as session:
        found = session.scalars(waiting.order_by(ScheduledTask.due_at, ScheduledTask.id).limit(LOOKED_AT)).all()
    values = {"status": TaskStatus.RUNNING, "lease_until": now + LEASE, "attempts": ScheduledTask.attempts + 1}
    for task_id in found:
        mine = update(ScheduledTask).where(ScheduledTask.id == task_id, due(now)).values(owner=uuid4().hex, **values)
        with database.write() as session:
            if session.execute(mine).rowcount:  # type: ignore[attr-defined]
                return session.get(ScheduledTask, task_id)
    return None


def _run(app: Postroom, task: ScheduledTask, kind: Kind) -> None:
    """Raises: LostLease; DatabaseUnavailable, when the failure itself cannot be written: the lease runs out then."""
    try:
        if task.attempts > kind.max_attempts:
            raise ProvisionError(f"It was begun {kind.max_attempts} times and never came to its end.")
        step = kind.run(app, task)
        with app.database.write() as session:
            record(session, task, step)
            step.write(session)
    except LostLease:
        raise
    except Exception as error:
        _fail(app, task, kind, serverlog.sentence(f"{task.kind} failed", error))


def _fail(app: Postroom, task: ScheduledTask, kind: Kind, error: str) -> None:
    """Once more after a pause, or never again. Who was asked to stop makes no pause."""
    with app.database.write() as session:
        record(session, task, Step(error=error))  # what was undone is forgotten: attempts are those of the table
        if task.attempts >= kind.max_attempts:
            record(session, task, Step(TaskStatus.FAILED, error=error))
            kind.given_up(session, task.subject)
        else:
            due_at = utc_now() + (timedelta() if task.cancel_requested else pause(task.attempts))
            record(session, task, Step(TaskStatus.WAITING, error=error, due_at=due_at))


def pause(attempts: int) -> timedelta:
    """Before the next attempt; with jitter, so that many do not come at once."""
    seconds = BACKOFF_SECONDS[min(max(attempts, 1), len(BACKOFF_SECONDS)) - 1]
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))
