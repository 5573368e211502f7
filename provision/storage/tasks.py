"""Long work, step by step: what anybody may ask of it, and what a handler writes down.

A task is a row of `scheduled_task`; of one kind there is one open task for a subject. Who runs it and when:
`provision.jobs.scheduled_tasks`. Changes of mailboxes and aliases are no tasks: their rows are their own queue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, or_, update
from sqlalchemy.orm import Session

from provision.storage.models import ScheduledTask as Task
from provision.storage.models import TaskStatus, utc_now

LEASE = timedelta(seconds=60)  # a step takes seconds, clocks differ by less; after this a process is taken for dead


class LostLease(Exception):
    """Another process has taken the task over: what this one has not committed must not be written."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to. RUNNING: the next one follows; WAITING: it goes on at `due_at`; else the task is over."""

    status: TaskStatus = TaskStatus.RUNNING
    done: int = 0  # of the task's `total`; what is shown never falls back
    due_at: datetime | None = None
    error: str | None = None
    write: Callable[[Session], object] = lambda session: None  # the work of a last step, committed with it


def schedule(
    session: Session, kind: str, subject: UUID, *, due_at: datetime | None = None, total: int = 0, **ids: int | UUID
) -> None:
    """`ids`: what else it needs to know. Raises: IntegrityError while one of this kind is open for the subject."""
    payload = {name: value if isinstance(value, int) else str(value) for name, value in ids.items()}
    session.add(Task(kind=kind, subject=subject, payload=payload, due_at=due_at or utc_now(), total=total))
    session.flush()


def reschedule(session: Session, kind: str, subject: UUID, due_at: datetime) -> bool:
    """Another date; False where it has begun, or is over."""
    return _changed(session, *_open(kind, subject), Task.status == TaskStatus.WAITING, due_at=due_at)


def cancel(session: Session, kind: str, subject: UUID) -> bool:
    """Whether it is over with this. One that runs sees it after its step."""
    now = utc_now()
    waits = or_(Task.status == TaskStatus.WAITING, abandoned(now))
    if _changed(session, *_open(kind, subject), waits, finished_at=now, **_freed(TaskStatus.CANCELLED)):
        return True
    _changed(session, *_open(kind, subject), cancel_requested=True)
    return False


def record(session: Session, task: Task, step: Step) -> None:
    """A step, in the transaction of its work; the task then knows whether it shall stop. Raises: LostLease."""
    now, got_on = utc_now(), Task.done < step.done
    as_planned = step.status is TaskStatus.WAITING and step.error is None
    attempts = 0 if as_planned else case((got_on, 0), else_=Task.attempts)
    values: dict[str, Any] = {
        "done": case((got_on, step.done), else_=Task.done),
        "attempts": attempts,
        "error": step.error,
    }
    if step.status is TaskStatus.RUNNING:
        values |= {"lease_until": now + LEASE}
    elif step.status is TaskStatus.WAITING:
        values |= {**_freed(step.status), "due_at": step.due_at or now}
    else:
        values |= {**_freed(step.status), "finished_at": now}
    mine = update(Task).where(Task.id == task.id, Task.owner == task.owner).values(updated_at=now, **values)
    found = session.execute(mine.returning(Task.attempts, Task.cancel_requested)).one_or_none()
    if found is None:
        raise LostLease
    task.attempts, task.cancel_requested = found


def due(now: datetime) -> ColumnElement[bool]:
    waits = and_(Task.status == TaskStatus.WAITING, Task.due_at <= now)
    return and_(Task.finished_at.is_(None), or_(waits, abandoned(now)))


def abandoned(now: datetime) -> ColumnElement[bool]:
    """Its process is taken for dead, or took it while the clock was wrong."""
    return or_(Task.lease_until < now, Task.lease_until > now + 2 * LEASE)


def _open(kind: str, subject: UUID) -> tuple[ColumnElement[bool], ...]:
    return Task.kind == kind, Task.subject == subject, Task.finished_at.is_(None)


def _freed(status: TaskStatus) -> dict[str, Any]:
    return {"status": status, "owner": None, "lease_until": None}


def _changed(session: Session, *where: ColumnElement[bool], **values: Any) -> bool:
    found = session.execute(update(Task).where(*where).values(updated_at=utc_now(), **values))
    return bool(found.rowcount)  # type: ignore[attr-defined]
