"""What is not needed for ever: old keys of creating calls, finished tasks and, where it is asked for, old records.

Records are never just removed. They are moved with their links to a file that can be verified by itself, and the
moving is a record of the chain that goes on; the database lets go of nothing else.
"""

import gzip
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from provision.audit import chain as audit
from provision.audit import proof
from provision.core.access import Actor, Permission
from provision.core.errors import InvalidInput
from provision.core.texts import N_
from provision.storage.database import Database
from provision.storage.models import AuditCheckpoint, AuditLink, IdempotencyKey, ProvisionLog, utc_now
from provision.storage.models import ImportJob as Job
from provision.storage.models import ScheduledTask as Task

KEPT_ANSWERS = timedelta(days=1)  # of calls of the API; they may hold a password
KEPT_KEYS = timedelta(days=7)  # of calls that happen once
KEPT_TASKS = timedelta(days=90)
BATCH = 20_000  # links of one file: writers wait while they are taken out
FOLDER = "archive"


def prune(database: Database) -> int:
    """Remove what nobody asks for any more; from how many rows. The provision log is not touched."""
    now = utc_now()
    over = Task.finished_at < now - KEPT_TASKS
    answered = (IdempotencyKey.sealed_body.is_not(None), IdempotencyKey.created_at < now - KEPT_ANSWERS)
    old = (
        delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT_KEYS),
        update(IdempotencyKey).where(*answered).values(request_mac=None, status=None, sealed_body=None),
        delete(Job).where(Job.uid.in_(select(Task.subject).where(over))),
        delete(Task).where(over),
    )
    count = 0
    for statement in old:
        with database.write() as session:
            count += session.execute(statement).rowcount  # type: ignore[attr-defined]
    return count


# ---- old records ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Archived:
    """A file, the last link in it and that one's hash."""

    file: Path
    links: int
    head: str


def archive_log(database: Database, folder: Path, before: datetime, actor: Actor) -> list[Archived]:
    """Move records from before that time to files; nothing where one of them is not finished yet.

    A crash leaves at most a file whose records are still in the database, too. Raises: AccessDenied.
    """
    with audit.denials(database, actor, audit.ARCHIVE):
        actor.require(Permission.SERVER_WRITE)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = []
    while moved := _archive_batch(database, folder, before, actor):
        files.append(moved)
    return files


def _archive_batch(database: Database, folder: Path, before: datetime, actor: Actor) -> Archived | None:
    with database.read() as session:
        begin = audit.start(session)
        last = _last_finished(session, begin[0], before)
        if last <= begin[0]:
            return None
        moved = _write(folder, begin, proof.chain(session, up_to=last), audit.keys_of(session))
    with database.write() as session:
        if audit.start(session) != begin:
            return None  # another process was faster
        session.add(AuditCheckpoint(seq=moved.links, hash=moved.head, file=moved.file.name))
        payload = {"links": moved.links, "head": moved.head, "file": moved.file.name}
        audit.record_done(session, actor, audit.ARCHIVE, [audit.Subject("log")], payload)
        audit.link_checkpoints(session)
        _take_out(session, moved)
    return moved


def _last_finished(session: Session, begin: int, before: datetime) -> int:
    """The last link of a batch up to which every operation has both its links.

    One operation on many things writes all its intents before its outcomes, so a batch is made as large as it takes.
    """
    size = BATCH
    while True:
        last = session.scalar(
            select(func.max(AuditLink.seq)).where(AuditLink.at < before, AuditLink.seq <= begin + size)
        )
        finished = _finished(session, begin, last or 0)
        if finished > begin or (last or 0) < begin + size:
            return finished
        size *= 2


def _finished(session: Session, begin: int, last: int) -> int:
    """Grouped, not joined with itself: with statistics from when the table was empty PostgreSQL would go through all
    links for each of them."""
    while last > begin:
        intents = (
            select(func.min(AuditLink.seq).label("seq"))
            .where(AuditLink.seq > begin, AuditLink.seq <= last)
            .group_by(AuditLink.log_uid)
            .having(func.max(AuditLink.phase) == "intent")
            .subquery()  # no "outcome"
        )
        first_open = session.scalar(select(func.min(intents.c.seq)))
        if first_open is None:
            break
        last = first_open - 1
    return last


def _write(folder: Path, begin: tuple[int, str], chain: Iterator[tuple[Any, Any]], keys: Sequence[bytes]) -> Archived:
    """Raises: InvalidInput where the chain is broken already: that is to be looked at first."""
    handle, name = tempfile.mkstemp(prefix=".log-", dir=folder)  # its mode is 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw:
            with gzip.open(raw, "wt", encoding="utf-8") as file:
                file.write(json.dumps({"begin": begin}) + "\n")
                report = proof.follow(_noting(chain, file, keys), begin, keys)
            raw.flush()
            os.fsync(raw.fileno())
        if not report.intact:
            raise InvalidInput(f"The log is broken at link {report.broken_at}; nothing was moved.", code="CHAIN_BROKEN")
        return Archived(
            temporary.rename(folder / f"log-{begin[0] + 1}-{report.links}.jsonl.gz"), report.links, report.head
        )
    finally:
        temporary.unlink(missing_ok=True)


def _noting(chain: Iterator[tuple[Any, Any]], file: Any, keys: Sequence[bytes]) -> Iterator[tuple[Any, Any]]:
    for link, record in chain:
        told = {name: getattr(link, name) for name in ("seq", "phase", "digest", "hash")}
        told |= {"at": link.at.isoformat(), "log_uid": str(link.log_uid)}
        if record is not None and link.phase != audit.CHECKPOINT:
            told["record"] = audit.plain_record(link.phase, record, keyed=bool(keys))
        file.write(json.dumps(told, ensure_ascii=False) + "\n")
        yield link, record


def _take_out(session: Session, moved: Archived) -> None:
    linked = select(AuditLink.log_uid).where(AuditLink.seq <= moved.links)
    session.execute(
        delete(ProvisionLog).where(ProvisionLog.uid.in_(linked)).execution_options(synchronize_session=False)
    )
    session.execute(delete(AuditLink).where(AuditLink.seq <= moved.links).execution_options(synchronize_session=False))


# ---- proving -------------------------------------------------------------------------------


def verify(
    session: Session, exported: Mapping[str, Any] | None = None, folder: Path | None = None
) -> proof.ChainReport:
    """Prove the log. A head that was exported before the last move is looked for in the files of `folder`."""
    report = proof.verify(session, exported)
    if not exported or not report.intact or not 0 < exported["links"] <= audit.start(session)[0]:
        return report
    return _confirmed(session, report, exported, folder)


def _confirmed(
    session: Session, report: proof.ChainReport, exported: Mapping[str, Any], folder: Path | None
) -> proof.ChainReport:
    """The report, with what is to be said of a head within what was moved away."""
    number = exported["links"]
    moved = select(AuditCheckpoint.seq, AuditCheckpoint.hash, AuditCheckpoint.file)
    row = session.execute(moved.where(AuditCheckpoint.seq >= number).order_by(AuditCheckpoint.seq).limit(1)).one()
    other = replace(report, broken_at=number, reason=proof.OTHER_HEAD)
    if row.seq == number:
        return report if row.hash == exported["head"] else other
    path = folder / Path(row.file).name if folder else Path(row.file)
    if not path.is_file():
        unsure = N_(f"the head cannot be confirmed: link {number} was moved to {path}, and that file is not there")
        return replace(report, reason=unsure)
    keys = audit.keys_of(session)
    try:
        found = verify_archive(path, keys)
    except InvalidInput:
        found = None
    if found is None or not found.intact or (found.links, found.head) != (row.seq, row.hash):
        return replace(report, reason=N_(f"the head cannot be confirmed: {path} is not the file that was written"))
    return report if verify_archive(path, keys, exported).intact else other


def verify_archive(
    path: Path, keys: Sequence[bytes] = (), exported: Mapping[str, Any] | None = None
) -> proof.ChainReport:
    """Walk the chain of a file. Raises: InvalidInput for one that is no archive or is cut off."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            seq, head = json.loads(file.readline())["begin"]
            links = ((_link(told), told.get("record")) for told in map(json.loads, file))
            report = proof.follow(links, (seq, head), keys, exported)
            for _ in file:
                pass  # one that is cut off is told from one that is broken
            return report
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        raise InvalidInput(f"{path} is no archive of the log, or it was cut off.", code="NO_ARCHIVE") from None


def _link(told: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**told | {"at": datetime.fromisoformat(told["at"]), "log_uid": UUID(told["log_uid"])})
