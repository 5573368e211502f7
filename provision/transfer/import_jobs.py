"""Imports in the background: a CSV file that outlives the page, the sign-in and the process that began it.

When it runs, how far it is and how it ended is said by its task (`provision.storage.tasks`). It runs in chunks, each
one transaction under an idempotency key of its own. Taken up again after a kill it walks the file from its beginning:
chunks that were done give back what they made, so nothing is made twice.
"""

import base64
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload
from uuid6 import uuid7

from provision.app import Postroom
from provision.audit import chain
from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core.access import Actor, Permission, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput, NotFound
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.identity.sign_in import actor_of
from provision.storage.models import Domain, ImportJob, Operator, ScheduledTask, TaskStatus, utc_now
from provision.storage.tasks import LostLease, Step, cancel, record, schedule
from provision.storage.trouble import DatabaseUnavailable
from provision.telemetry import serverlog
from provision.transfer.csv_io import ImportResult, import_sheet, new_passwords, passwords_csv, rejected_csv
from provision.transfer.csv_reader import Reading, RowError, Sheet, decode, read_rows

IMPORT, FORGET = "import", "import.forget"  # kinds of tasks
CHUNK = 500  # another size would give other keys to the chunks of an import that is under way
KEPT = timedelta(days=1)  # how long refused rows, with their passwords, and new passwords can be fetched
REMEMBERED = 50  # imports of an operator, in which the columns of a file are looked up
MAX_WAITING = 5  # of one operator


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far a job is. `total`, `done`, `created`, `refused` count rows of the file."""

    uid: UUID
    operator: str
    status: TaskStatus
    total: int
    done: int
    created: int
    refused: int
    cancelling: bool
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    has_rejected: bool
    has_passwords: bool

    @property
    def existing(self) -> int:
        """Rows of mailboxes that were there: they are now as their rows say."""
        return self.done - self.created - self.refused if self.status == TaskStatus.DONE else 0

    @property
    def open(self) -> bool:
        return self.finished_at is None


# ---- for the operator ----------------------------------------------------------------------


def start_import(
    app: Postroom, actor: Actor, data: bytes, reading: Reading = Reading(), *, uid: UUID | None = None
) -> UUID:
    """Accept a file to import. The same `uid` again is the same job. Raises: InvalidInput, AccessDenied, Conflict.

    How it is to be read is settled here, and new passwords are made: a job that is taken up again finds the same.
    """
    with chain.denials(app.database, actor, Operation.MAILBOX_IMPORT):
        actor.require(Permission.MAILBOX_WRITE)
    if actor.operator_id is None:
        raise InvalidInput("An import in the background belongs to an operator; import the file directly.")
    data = decode(data, reading.encoding).encode()
    sheet = read_rows(data, None, reading)
    rows = len(sheet.rows) + _refused(sheet.errors)
    if not rows:
        raise InvalidInput("The file has no rows below its header.", code="CSV_UNREADABLE")
    whose = {"operator_id": actor.operator_id, "operator": actor.name, "ip": actor.ip}
    made = {n: secret.reveal() for n, secret in new_passwords(app, sheet).items()} if reading.passwords else {}
    settled = replace(reading, encoding=None, columns=dict(sheet.mapping))
    job = ImportJob(
        uid=uid or uuid7(),
        sealed_upload=_seal(app, data),
        sealed_passwords=_seal(app, json.dumps(made).encode()) if made else None,
        reading={**asdict(settled), "header": list(sheet.columns)},
        **whose,
    )
    try:
        with app.database.write() as session:
            if uid and session.scalar(select(ImportJob.id).where(ImportJob.uid == uid, _own(actor))):
                return uid
            _refuse_too_many(session, actor)
            session.add(job)
            session.flush()
            schedule(session, IMPORT, job.uid, total=rows)
            chain.record_done(session, actor, Operation.MAILBOX_IMPORT, [Subject("import", job.uid)], {"rows": rows})
    except IntegrityError:  # the same call came twice at one moment, and the other one was quicker
        return import_job(app, actor, job.uid).uid
    return job.uid


def _refuse_too_many(session: Session, actor: Actor) -> None:
    is_open = ScheduledTask.finished_at.is_(None)
    waiting = session.scalar(_joined(func.count()).where(ImportJob.operator_id == actor.operator_id, is_open))
    if (waiting or 0) >= MAX_WAITING:
        reason = N_(f"{MAX_WAITING} imports of yours are still waiting; wait for them, or cancel one.")
        raise Conflict(reason, code="TOO_MANY")


def import_job(app: Postroom, actor: Actor, uid: UUID) -> ImportProgress:
    """Raises: NotFound, also for somebody else's unless the actor is a SuperAdmin."""
    with app.database.read() as session:
        return _look(session, actor, uid)


def import_jobs(app: Postroom, actor: Actor) -> list[ImportProgress]:
    """The actor's own jobs that are open, or finished lately and not dismissed; newest first."""
    lately = or_(ScheduledTask.finished_at.is_(None), ScheduledTask.finished_at > utc_now() - KEPT)
    own = (ImportJob.operator_id == actor.operator_id, ImportJob.operator == actor.name)
    statement = _progress().where(*own, lately, ImportJob.dismissed.is_(False)).order_by(ImportJob.id.desc())
    with app.database.read() as session:
        return [ImportProgress(**row) for row in session.execute(statement.limit(MAX_WAITING)).mappings()]


def cancel_import(app: Postroom, actor: Actor, uid: UUID) -> ImportProgress:
    """Stop after the chunk that is running; what was created stays."""
    with app.database.write() as session:
        _look(session, actor, uid)
        # The chain first: in another order than a chunk that is under way this and that could wait for each other.
        chain.record_done(session, actor, Operation.MAILBOX_IMPORT_CANCEL, [Subject("import", uid)], {})
        if cancel(session, IMPORT, uid):
            erase_upload(session, uid)
        return _look(session, actor, uid)


def dismiss_import(app: Postroom, actor: Actor, uid: UUID) -> None:
    """The owner does not want to see it any more."""
    with app.database.write() as session:
        if not _look(session, actor, uid).open:
            _change(session, uid, dismissed=True)


def remembered(app: Postroom, actor: Actor, header: Sequence[str]) -> dict[str, str] | None:
    """What the columns were in the actor's last import of a file with this header."""
    own = (ImportJob.operator_id == actor.operator_id, ImportJob.operator == actor.name, ImportJob.reading.is_not(None))
    statement = select(ImportJob.reading).where(*own).order_by(ImportJob.id.desc()).limit(REMEMBERED)
    with app.database.read() as session:
        known = (reading for reading in session.scalars(statement) if reading)
        return next((reading["columns"] for reading in known if reading["header"] == list(header)), None)


def made_passwords(app: Postroom, actor: Actor, uid: UUID) -> str:
    """The new passwords as CSV, this once: then they are erased. Raises: NotFound."""
    with app.database.write() as session:
        found = _look(session, actor, uid)
        sealed = session.scalar(select(ImportJob.sealed_passwords).where(ImportJob.uid == uid))
        if not found.has_passwords or sealed is None:
            raise NotFound("The new passwords of this import are not kept any more.", code="IMPORT_NOT_FOUND")
        _change(session, uid, sealed_passwords=None)
        chain.record_done(session, actor, Operation.MAILBOX_IMPORT_PASSWORDS, [Subject("import", uid)], {})
    return _unseal(app, sealed).decode()


def rejected_rows(app: Postroom, actor: Actor, uid: UUID) -> str:
    """The refused rows as CSV, with their passwords; for a day. Raises: NotFound."""
    with app.database.write() as session:
        found = _look(session, actor, uid)
        sealed = session.scalar(select(ImportJob.sealed_rejected).where(ImportJob.uid == uid))
        if not found.has_rejected or sealed is None:
            raise NotFound("The refused rows of this import are not kept any more.", code="IMPORT_NOT_FOUND")
        chain.record_done(
            session, actor, Operation.MAILBOX_IMPORT_REJECTED, [Subject("import", uid)], {"rows": found.refused}
        )
    return _unseal(app, sealed).decode()


def _look(session: Session, actor: Actor, uid: UUID) -> ImportProgress:
    row = session.execute(_progress().where(ImportJob.uid == uid, _own(actor))).mappings().first()
    if row is None:
        raise NotFound("This import does not exist any more.", code="IMPORT_NOT_FOUND")
    return ImportProgress(**row)


def _progress() -> Select[Any]:
    job, task = ImportJob, ScheduledTask
    kept = and_(job.sealed_rejected.is_not(None), task.finished_at > utc_now() - KEPT)
    secret = and_(job.sealed_passwords.is_not(None), task.finished_at > utc_now() - KEPT)
    flags = (kept.label("has_rejected"), secret.label("has_passwords"))
    its_own = (job.uid, job.operator, job.created, job.refused, job.created_at, *flags)
    how_far = (task.status, task.total, task.done, task.cancel_requested.label("cancelling"), task.error)
    return _joined(*its_own, *how_far, task.finished_at)


def _joined(*columns: Any) -> Select[Any]:
    its_task = and_(ScheduledTask.kind == IMPORT, ScheduledTask.subject == ImportJob.uid)
    return select(*columns).select_from(ImportJob).join(ScheduledTask, its_task)


def _own(actor: Actor) -> ColumnElement[bool]:
    if actor.role is Role.SUPER_ADMIN:
        return ImportJob.id.is_not(None)
    return and_(ImportJob.operator_id == actor.operator_id, ImportJob.operator == actor.name)


# ---- in the background ---------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What came of the rows so far. One that the reader refused is done from the beginning."""

    errors: list[RowError]
    done: int
    created: int = 0
    updated: int = 0
    passwords: dict[str, Secret] = field(default_factory=dict)


def run_import(app: Postroom, task: ScheduledTask) -> Step:
    """Walk the file, CHUNK rows in each transaction. A chunk that was done tells what came of it then.

    The chunks depend on the file alone: rules and rights are those of the moment, and may have changed meanwhile.
    """
    with app.database.read() as session:
        job = session.scalars(select(ImportJob).where(ImportJob.uid == task.subject)).one()
    sheet = read_rows(_unseal(app, job.sealed_upload or ""), None, _reading(job))
    made = json.loads(_unseal(app, job.sealed_passwords)) if job.sealed_passwords else {}
    passwords = {int(number): Secret(text) for number, text in made.items()}
    tally, failure = Tally(list(sheet.errors), _refused(sheet.errors)), None
    for start in range(0, len(sheet.news), CHUNK):
        if task.cancel_requested:
            break
        rows = slice(start, start + CHUNK)
        part = Sheet(sheet.columns, sheet.mapping, sheet.rows[rows], sheet.news[rows])
        try:
            _import_chunk(app, job, task, part, passwords, f"import-{job.uid}-{start}", tally)
        except (DatabaseUnavailable, LostLease):
            raise  # taken up again later, or by another process already
        except Exception as error:
            failure = serverlog.sentence("import failed", error)
            tally.errors += [RowError(row, "", "NOT_DONE", failure) for row in sheet.rows[start:]]
            break
    if tally.created or tally.updated:
        _push(app, sheet)
    ended = TaskStatus.FAILED if failure else TaskStatus.CANCELLED if task.cancel_requested else TaskStatus.DONE
    result = ImportResult(sheet.columns, [], [], sorted(tally.errors, key=lambda error: error.number))
    rejected = _seal(app, rejected_csv(result).encode()) if tally.errors else None
    secret = _seal(app, passwords_csv(tally.passwords).encode()) if tally.passwords else None
    kept = {"sealed_rejected": rejected, "sealed_passwords": secret}
    return Step(ended, tally.done, error=failure, write=partial(_end, job, tally, kept))


def _reading(job: ImportJob) -> Reading:
    """As it was settled when the file was accepted; nothing is said of files from before there was a choice."""
    return Reading(**{name: value for name, value in (job.reading or {}).items() if name != "header"})


def _import_chunk(
    app: Postroom,
    job: ImportJob,
    task: ScheduledTask,
    part: Sheet,
    passwords: Mapping[int, Secret],
    key: str,
    tally: Tally,
) -> None:
    """One transaction, in which it is also written how far that is, if there is anything to make in it."""
    written, reading = False, _reading(job)

    def write(session: Session, made: Collection[UUID]) -> None:
        nonlocal written
        written = True
        record(session, task, Step(done=tally.done + len(part.news)))
        created, refused = tally.created + len(made), _refused(tally.errors)
        refused += 0 if reading.update else len(part.news) - len(made)
        _change(session, job.uid, created=max(created, job.created), refused=max(refused, job.refused))  # as `done`

    actor = _actor(app, job)
    how = {"push": False, "idempotency_key": key, "also": lambda session, bulk: write(session, bulk.done)}
    try:
        result = import_sheet(app, actor, part, reading, passwords, **how)
    except Conflict as conflict:
        if conflict.code != "DUPLICATE":
            raise
        result = import_sheet(
            app, actor, part, reading, passwords, **how
        )  # another one made the same address at this moment
    if not written:
        with app.database.write() as session:
            write(session, result.created)
    tally.done += len(part.news)
    tally.created += len(result.created)
    tally.errors += result.errors
    tally.updated += len(result.updated)
    tally.passwords |= result.passwords


def _actor(app: Postroom, job: ImportJob) -> Actor:
    """The operator as they are now. Raises: AccessDenied."""
    with app.database.read() as session:
        statement = select(Operator).options(selectinload(Operator.domains)).where(Operator.id == job.operator_id)
        operator = session.scalar(statement)
        if operator is None or not operator.enabled or operator.username != job.operator:
            raise AccessDenied(f"{job.operator} may not sign in any more, so the import was stopped.")
        return actor_of(operator, job.ip)


def _end(job: ImportJob, tally: Tally, kept: Mapping[str, str | None], session: Session) -> None:
    """The upload is erased with this, refused rows and new passwords when their day is over."""
    counts = {"created": tally.created, "refused": _refused(tally.errors)}
    _change(session, job.uid, sealed_upload=None, **kept, **counts)
    if any(kept.values()):
        schedule(session, FORGET, job.uid, due_at=utc_now() + KEPT)


def erase_upload(session: Session, uid: UUID) -> None:
    _change(session, uid, sealed_upload=None, sealed_passwords=None)


def forget_rejected(app: Postroom, task: ScheduledTask) -> Step:
    return Step(TaskStatus.DONE, write=lambda session: _forget(session, task.subject))


def _forget(session: Session, uid: UUID) -> None:
    _change(session, uid, sealed_rejected=None, sealed_passwords=None)


def _change(session: Session, uid: UUID, **values: object) -> None:
    session.execute(update(ImportJob).where(ImportJob.uid == uid).values(updated_at=utc_now(), **values))


def _push(app: Postroom, sheet: Sheet) -> None:
    """Once, for all chunks together."""
    names = {new.address.rpartition("@")[2] for new in sheet.news}
    with app.database.read() as session:
        servers = session.scalars(select(Domain.server_id).where(Domain.name.in_(sorted(names))).distinct()).all()
    for server_id in servers if app.services.delivery.enabled else ():
        app.sync.push(server_id)


def _refused(errors: list[RowError]) -> int:
    return len({error.number for error in errors})


def _seal(app: Postroom, data: bytes) -> str:
    return app.sealer.seal(Secret(base64.b64encode(zlib.compress(data)).decode()))


def _unseal(app: Postroom, sealed: str) -> bytes:
    return zlib.decompress(base64.b64decode(app.sealer.unseal(sealed).reveal()))
