"""Imports in the background: a CSV file that outlives the page, the sign-in and the process that began it.

A job runs in chunks, each one transaction under an idempotency key of its own. A job whose process died is taken up
again and walks the file from its beginning: chunks that were done give back what they made, so nothing is made twice.
"""

import base64
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload
from uuid6 import uuid7

from provision.app import Postroom
from provision.audit import chain
from provision.audit.chain import Subject
from provision.core.access import Actor, Permission, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput, NotFound, ProvisionError
from provision.core.secret import Secret
from provision.identity.sign_in import actor_of
from provision.services.provisioner import Provisioner
from provision.storage.database import DatabaseUnavailable
from provision.storage.models import Domain, ImportJob, JobStatus, Operator, utc_now
from provision.telemetry import serverlog
from provision.transfer.csv_io import ImportResult, import_sheet, rejected_csv
from provision.transfer.csv_reader import RowError, Sheet, read_rows

CHUNK = 500
HEARTBEAT_TIMEOUT = timedelta(seconds=60)  # a chunk takes seconds; after this its process is taken for dead
KEPT = timedelta(days=1)  # how long refused rows, with their passwords, can be fetched
MAX_CLAIMS = 5  # a file that kills its process each time is given up
MAX_WAITING = 5  # of one operator
OPEN = (JobStatus.WAITING, JobStatus.RUNNING)
SHOWN = (
    "uid",
    "operator",
    "status",
    "total",
    "done",
    "created",
    "refused",
    "cancelling",
    "error",
    "created_at",
    "finished_at",
)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far a job is. `total`, `done`, `created`, `refused` count rows of the file."""

    uid: UUID
    operator: str
    status: JobStatus
    total: int
    done: int
    created: int
    refused: int
    cancelling: bool
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    has_rejected: bool

    @property
    def open(self) -> bool:
        return self.status in OPEN


# ---- for the operator ----------------------------------------------------------------------


def start_import(app: Postroom, actor: Actor, data: bytes, *, uid: UUID | None = None) -> UUID:
    """Accept a file to import. The same `uid` again is the same job. Raises: InvalidInput, AccessDenied, Conflict."""
    with chain.denials(app.database, actor, "mailbox.import"):
        actor.require(Permission.MAILBOX_WRITE)
    if actor.operator_id is None:
        raise InvalidInput("An import in the background belongs to an operator; import the file directly.")
    rows = _rows(read_rows(data, None))
    if not rows:
        raise InvalidInput("The file has no rows below its header.", code="CSV_UNREADABLE")
    job = ImportJob(
        uid=uid or uuid7(),
        operator_id=actor.operator_id,
        operator=actor.name,
        ip=actor.ip,
        total=rows,
        sealed_upload=_seal(app, data),
    )
    try:
        with app.database.write() as session:
            if uid and session.scalar(select(ImportJob.id).where(ImportJob.uid == uid, _own(actor))):
                return uid
            _refuse_too_many(session, actor)
            session.add(job)
            session.flush()
            chain.record_done(session, actor, "mailbox.import", [Subject("import", job.uid)], {"rows": rows})
    except IntegrityError:  # the same call came twice at one moment, and the other one was quicker
        return import_job(app, actor, job.uid).uid
    return job.uid


def _refuse_too_many(session: Session, actor: Actor) -> None:
    waiting = select(func.count()).where(ImportJob.operator_id == actor.operator_id, ImportJob.status.in_(OPEN))
    if (session.scalar(waiting) or 0) >= MAX_WAITING:
        raise Conflict(
            f"{MAX_WAITING} imports of yours are still waiting; wait for them, or cancel one.", code="TOO_MANY"
        )


def import_job(app: Postroom, actor: Actor, uid: UUID) -> ImportProgress:
    """Raises: NotFound, also for somebody else's unless the actor is a SuperAdmin."""
    with app.database.read() as session:
        return _look(session, actor, uid)


def import_jobs(app: Postroom, actor: Actor) -> list[ImportProgress]:
    """The actor's own jobs that are open, or finished lately and not dismissed; newest first."""
    lately = or_(ImportJob.finished_at.is_(None), ImportJob.finished_at > utc_now() - KEPT)
    own = (ImportJob.operator_id == actor.operator_id, ImportJob.operator == actor.name)
    statement = (
        _progress().where(*own, lately, ImportJob.dismissed.is_(False)).order_by(ImportJob.id.desc()).limit(MAX_WAITING)
    )
    with app.database.read() as session:
        return [ImportProgress(**row) for row in session.execute(statement).mappings()]


def cancel_import(app: Postroom, actor: Actor, uid: UUID) -> ImportProgress:
    """Stop after the chunk that is running; what was created stays."""
    with app.database.write() as session:
        _look(session, actor, uid)
        now = utc_now()
        ended = {"status": JobStatus.CANCELLED, "finished_at": now, "sealed_upload": None}
        session.execute(update(ImportJob).where(ImportJob.uid == uid, _claimable(now)).values(ended))
        running = (ImportJob.uid == uid, ImportJob.status == JobStatus.RUNNING)
        session.execute(update(ImportJob).where(*running).values(cancelling=True))
        chain.record_done(session, actor, "mailbox.import_cancel", [Subject("import", uid)], {})
        return _look(session, actor, uid)


def dismiss_import(app: Postroom, actor: Actor, uid: UUID) -> None:
    """The owner does not want to see it any more."""
    with app.database.write() as session:
        if not _look(session, actor, uid).open:
            session.execute(update(ImportJob).where(ImportJob.uid == uid).values(dismissed=True))


def rejected_rows(app: Postroom, actor: Actor, uid: UUID) -> str:
    """The refused rows as CSV, with their passwords; for a day. Raises: NotFound."""
    with app.database.write() as session:
        found = _look(session, actor, uid)
        sealed = session.scalar(select(ImportJob.sealed_rejected).where(ImportJob.uid == uid))
        if not found.has_rejected or sealed is None:
            raise NotFound("The refused rows of this import are not kept any more.", code="IMPORT_NOT_FOUND")
        chain.record_done(session, actor, "mailbox.import_rejected", [Subject("import", uid)], {"rows": found.refused})
    return _unseal(app, sealed).decode()


def _look(session: Session, actor: Actor, uid: UUID) -> ImportProgress:
    row = session.execute(_progress().where(ImportJob.uid == uid, _own(actor))).mappings().first()
    if row is None:
        raise NotFound("This import does not exist any more.", code="IMPORT_NOT_FOUND")
    return ImportProgress(**row)


def _progress() -> Select[Any]:
    kept = and_(ImportJob.sealed_rejected.is_not(None), ImportJob.finished_at > utc_now() - KEPT)
    return select(*(getattr(ImportJob, name) for name in SHOWN), kept.label("has_rejected"))


def _own(actor: Actor) -> ColumnElement[bool]:
    if actor.role is Role.SUPER_ADMIN:
        return ImportJob.id.is_not(None)
    return and_(ImportJob.operator_id == actor.operator_id, ImportJob.operator == actor.name)


# ---- in the background ---------------------------------------------------------------------


class LostClaim(Exception):
    """Another process has taken the job over."""


def run_next_import(app: Postroom, *, chunk: int = CHUNK) -> bool:
    """Do one job that waits, or whose process died, `chunk` rows in each transaction; False when there is none.

    Erases refused rows whose day is over.
    """
    _forget_rejected(app)
    job = _claim(app)
    if job is None:
        return False
    try:
        _run(app, job, chunk)
    except LostClaim:
        log.warning("import taken over by another process", job=str(job.uid))
    except DatabaseUnavailable:
        raise  # left as it is, and taken up again later
    except Exception as error:
        _end(app, job, JobStatus.FAILED, error=_sentence(error))
    return True


def _claimable(now: datetime) -> ColumnElement[bool]:
    dead = and_(ImportJob.status == JobStatus.RUNNING, ImportJob.heartbeat_at < now - HEARTBEAT_TIMEOUT)
    return or_(ImportJob.status == JobStatus.WAITING, dead)


def _claim(app: Postroom) -> ImportJob | None:
    """The oldest job that may be begun, for this process alone."""
    now = utc_now()
    with app.database.read() as session:
        job_id = session.scalar(select(ImportJob.id).where(_claimable(now)).order_by(ImportJob.id).limit(1))
    if job_id is None:
        return None
    values = {"status": JobStatus.RUNNING, "heartbeat_at": now, "claim": uuid4().hex, "claims": ImportJob.claims + 1}
    with app.database.write() as session:
        took = session.execute(update(ImportJob).where(ImportJob.id == job_id, _claimable(now)).values(values))
        return session.get(ImportJob, job_id) if took.rowcount == 1 else None  # type: ignore[attr-defined]


def _run(app: Postroom, job: ImportJob, chunk: int) -> None:
    """Walk the file. A chunk that was done tells what came of it then.

    The chunks depend on the file alone: rules and rights are those of the moment, and may have changed meanwhile.
    """
    if job.claims > MAX_CLAIMS or job.sealed_upload is None:
        raise ProvisionError(f"It was begun {job.claims - 1} times and never came to its end.")
    sheet = read_rows(_unseal(app, job.sealed_upload), None)
    errors = list(sheet.errors)
    done, created, names, failure = _refused(errors), 0, set[str](), None
    cancelled = job.cancelling
    for start in range(0, len(sheet.news), chunk):
        if cancelled:
            break
        rows = slice(start, start + chunk)
        try:
            sheet_part = Sheet(sheet.columns, sheet.rows[rows], sheet.news[rows])
            part = _import_chunk(app, job, sheet_part, f"import-{job.uid}-{start}")
        except DatabaseUnavailable:
            raise
        except Exception as error:
            failure = _sentence(error)
            errors += [RowError(row, "", "NOT_DONE", failure) for row in sheet.rows[start:]]
            break
        errors += part.errors
        done += len(sheet_part.news)
        created += len(part.created)
        names.update(new.address.rpartition("@")[2] for new in part.accepted)
        cancelled = _beat(app, job, done, created, _refused(errors))
    _push(app, names)
    ended = JobStatus.FAILED if failure else JobStatus.CANCELLED if cancelled else JobStatus.DONE
    values = {"done": done, "created": created, "refused": _refused(errors), "error": failure}
    result = ImportResult(sheet.columns, [], [], sorted(errors, key=lambda error: error.number))
    _end(app, job, ended, **values, sealed_rejected=_seal(app, rejected_csv(result).encode()) if errors else None)


def _sentence(error: Exception) -> str:
    """Why an import failed, for its owner."""
    if isinstance(error, ProvisionError):
        return error.message
    number = serverlog.unexpected("import failed", error)
    return f"Something went wrong. The log tells more under the number {number}."


def _import_chunk(app: Postroom, job: ImportJob, part: Sheet, key: str) -> ImportResult:
    """One transaction. Another one that made the same address at this moment: look again."""
    actor = _actor(app, job)
    quiet = Provisioner(app.database, app.provisioner.sealer, app.settings, app.sync, deliver=False)
    for last in (False, True):
        try:
            return import_sheet(app, actor, part, quiet, idempotency_key=key)
        except Conflict as conflict:
            if last or conflict.code != "DUPLICATE":
                raise
    raise AssertionError("unreachable")


def _actor(app: Postroom, job: ImportJob) -> Actor:
    """The operator as they are now. Raises: AccessDenied."""
    with app.database.read() as session:
        statement = select(Operator).options(selectinload(Operator.domains)).where(Operator.id == job.operator_id)
        operator = session.scalar(statement)
        if operator is None or not operator.enabled or operator.username != job.operator:
            raise AccessDenied(f"{job.operator} may not sign in any more, so the import was stopped.")
        return actor_of(operator, job.ip)


def _beat(app: Postroom, job: ImportJob, done: int, created: int, refused: int) -> bool:
    """Write how far it is; whether it shall stop. A job taken up again does not fall back. Raises: LostClaim."""
    now = utc_now()
    values = {
        "heartbeat_at": now,
        "updated_at": now,
        "done": max(done, job.done),
        "created": max(created, job.created),
        "refused": max(refused, job.refused),
    }
    with app.database.write() as session:
        if session.execute(update(ImportJob).where(*_still_ours(job)).values(values)).rowcount != 1:  # type: ignore[attr-defined]
            raise LostClaim
        return bool(session.scalar(select(ImportJob.cancelling).where(ImportJob.id == job.id)))


def _end(app: Postroom, job: ImportJob, status: JobStatus, **values: object) -> None:
    """The upload is erased with this."""
    now = utc_now()
    with app.database.write() as session:
        ended = {"status": status, "finished_at": now, "updated_at": now, "sealed_upload": None, **values}
        session.execute(update(ImportJob).where(*_still_ours(job)).values(ended))


def _still_ours(job: ImportJob) -> tuple[ColumnElement[bool], ...]:
    return ImportJob.id == job.id, ImportJob.claim == job.claim, ImportJob.status == JobStatus.RUNNING


def _push(app: Postroom, names: set[str]) -> None:
    """Once, for all chunks together."""
    with app.database.read() as session:
        servers = session.scalars(select(Domain.server_id).where(Domain.name.in_(sorted(names))).distinct()).all()
    for server_id in servers if app.provisioner.deliver else ():
        app.sync.push(server_id)


def _forget_rejected(app: Postroom) -> None:
    old = (ImportJob.sealed_rejected.is_not(None), ImportJob.finished_at < utc_now() - KEPT)
    with app.database.read() as session:
        if session.scalar(select(ImportJob.id).where(*old).limit(1)) is None:
            return
    with app.database.write() as session:
        session.execute(update(ImportJob).where(*old).values(sealed_rejected=None))


def _rows(sheet: Sheet) -> int:
    return len(sheet.rows) + _refused(sheet.errors)


def _refused(errors: list[RowError]) -> int:
    return len({error.number for error in errors})


def _seal(app: Postroom, data: bytes) -> str:
    return app.provisioner.sealer.seal(Secret(base64.b64encode(zlib.compress(data)).decode()))


def _unseal(app: Postroom, sealed: str) -> bytes:
    return zlib.decompress(base64.b64decode(app.provisioner.sealer.unseal(sealed).reveal()))
