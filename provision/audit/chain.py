"""The provision log and the chain over it.

Every operation is recorded twice: as an intent, in the transaction that wants it, and as an outcome, in the one that
knows it. Each record is a link that holds the hash of the link before, so a record that is changed, removed, inserted
or moved breaks the chain at that place. A cut tail shows against a head that was exported earlier. Rows are only
inserted; a log row is completed once, after which the database itself refuses to change it. Old records may be moved
to a file (provision.audit.archive); the chain then begins at a checkpoint, of which a record further on must speak.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.audit.events import Operation
from provision.core.access import Actor
from provision.core.errors import AccessDenied
from provision.core.texts import N_
from provision.storage.database import Database
from provision.storage.models import AuditCheckpoint, AuditLink, LogStatus, ProvisionLog, utc_now

GENESIS = "0" * 64
ARCHIVE = Operation.LOG_ARCHIVE
CHAIN_LOCK = 0x706F7374726F6F6D  # a fixed number for PostgreSQL's advisory lock
OUTPUT_LIMIT = 20_000  # characters of stdout and stderr that are kept
INTENT_FIELDS = (
    "uid",
    "operator_id",
    "operator",
    "ip",
    "operation",
    "resource_type",
    "resource_id",
    "resource_name",
    "domain",
    "server_id",
    "generation",
    "payload",
    "started_at",
)
OUTCOME_FIELDS = ("uid", "status", "command", "exit_code", "stdout", "stderr", "error", "completed_at", "duration_ms")
PHASES = {"intent": INTENT_FIELDS, "outcome": OUTCOME_FIELDS}


@dataclass(frozen=True, slots=True)
class Subject:
    """What an operation is about."""

    type: str
    id: UUID | None = None
    name: str | None = None
    domain: str | None = None
    server_id: int | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """How an operation ended."""

    log_uid: UUID
    status: LogStatus
    command: str | None = None
    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    error: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What `verify` found. `broken_at` is the number of the first link that is wrong."""

    links: int
    head: str
    broken_at: int | None = None
    reason: str | None = None

    @property
    def intact(self) -> bool:
        return self.reason is None


def record_intents(
    session: Session, actor: Actor, operation: Operation, items: Iterable[tuple[Subject, Mapping[str, Any]]]
) -> list[UUID]:
    """Write one PENDING log row and its link per item; the payload's secrets are `***` already."""
    now = utc_now()
    rows: list[dict[str, Any]] = [
        {
            "uid": uuid7(),
            "operator_id": actor.operator_id,
            "operator": actor.name,
            "ip": actor.ip,
            "operation": operation,
            "resource_type": subject.type,
            "resource_id": str(subject.id) if subject.id else None,
            "resource_name": subject.name,
            "domain": subject.domain,
            "server_id": subject.server_id,
            "generation": subject.generation,
            "payload": dict(payload),
            "started_at": now,
            "status": LogStatus.PENDING,
        }
        for subject, payload in items
    ]
    if rows:
        session.execute(insert(ProvisionLog), rows)
        _append(session, "intent", rows)
    return [row["uid"] for row in rows]


def record_outcomes(session: Session, finishes: Sequence[Finish]) -> None:
    """Complete PENDING log rows and link their outcomes."""
    now = utc_now()
    rows = [
        {
            "uid": f.log_uid,
            "status": str(f.status),
            "command": _cut(f.command),
            "exit_code": f.exit_code,
            "stdout": _cut(f.stdout),
            "stderr": _cut(f.stderr),
            "error": _cut(f.error),
            "completed_at": now,
            "duration_ms": f.duration_ms,
        }
        for f in finishes
    ]
    if rows:
        statement = update(ProvisionLog.__table__).where(ProvisionLog.uid == bindparam("key"))  # type: ignore[arg-type]
        session.connection().execute(statement, [{**row, "key": row["uid"]} for row in rows])
        _append(session, "outcome", rows)


def record_done(
    session: Session,
    actor: Actor,
    operation: Operation,
    subjects: Iterable[Subject],
    payload: Mapping[str, Any],
    error: str | None = None,
) -> list[UUID]:
    """Record an operation that begins and ends here: nothing has to reach a mail server."""
    uids = record_intents(session, actor, operation, [(subject, payload) for subject in subjects])
    status = LogStatus.FAILED if error else LogStatus.SUCCESS
    record_outcomes(session, [Finish(uid, status, error=error, duration_ms=0) for uid in uids])
    return uids


def record_denial(database: Database, actor: Actor, operation: Operation, denial: AccessDenied) -> None:
    with database.write() as session:
        record_done(session, actor, operation, [Subject("access")], {"reason": denial.message}, error=denial.code)


@contextmanager
def denials(database: Database, actor: Actor, operation: Operation) -> Iterator[None]:
    """A denial is recorded under this name before it is raised on."""
    try:
        yield
    except AccessDenied as denial:
        record_denial(database, actor, operation, denial)
        raise


def _append(session: Session, phase: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add links in one piece: the chain has one end, so writers queue for it."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
    seq, head = _head(session)
    now = utc_now()
    links = []
    for row in rows:
        seq += 1
        digest = record_digest(phase, row)
        head = link_hash(head, seq, now, phase, row["uid"], digest)
        links.append({"seq": seq, "at": now, "phase": phase, "log_uid": row["uid"], "digest": digest, "hash": head})
    session.execute(insert(AuditLink), links)


def _head(session: Session) -> tuple[int, str]:
    last = session.execute(select(AuditLink.seq, AuditLink.hash).order_by(AuditLink.seq.desc()).limit(1)).first()
    return (last.seq, last.hash) if last else start(session)


def export_head(session: Session) -> dict[str, Any]:
    """The chain's end, to be kept outside: a later `verify` against it notices a cut or rewritten tail."""
    seq, head = _head(session)
    return {"links": seq, "head": head, "exported_at": utc_now().isoformat()}


def record_digest(phase: str, record: Mapping[str, Any]) -> str:
    """SHA-256 of the record's fields of this phase as sorted JSON; times as microseconds UTC."""
    plain = plain_record(phase, record)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def plain_record(phase: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record's fields of this phase as JSON has them."""
    return {name: _plain(record[name]) for name in PHASES[phase]}


def link_hash(previous: str, seq: int, at: datetime, phase: str, log_uid: UUID, digest: str) -> str:
    line = f"{previous}\n{seq}\n{at.isoformat(timespec='microseconds')}\n{phase}\n{log_uid}\n{digest}"
    return hashlib.sha256(line.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return str(value) if isinstance(value, UUID) else value


def _cut(output: str | None) -> str | None:
    """Keep the log readable, and free of NUL, which PostgreSQL refuses."""
    if output is None:
        return None
    clean = output.replace("\0", "�").encode(errors="replace").decode()
    return (
        clean
        if len(clean) <= OUTPUT_LIMIT
        else clean[:OUTPUT_LIMIT] + f"\n… {len(clean) - OUTPUT_LIMIT} characters more"
    )


# ---- verifying -----------------------------------------------------------------------------


def start(session: Session) -> tuple[int, str]:
    """Number and hash of the link before the first one that is here."""
    last = session.scalar(select(AuditCheckpoint).order_by(AuditCheckpoint.seq.desc()).limit(1))
    return (last.seq, last.hash) if last else (0, GENESIS)


def verify(session: Session, exported: Mapping[str, Any] | None = None) -> ChainReport:
    """Walk the whole chain and the log beside it; `exported`: a head that was kept outside."""
    begin = start(session)
    report = follow(chain(session), begin, exported)
    if not report.intact:
        return report
    if exported and report.links < exported["links"]:
        missing = exported["links"] - report.links
        return replace(report, broken_at=report.links + 1, reason=N_(f"the tail is cut off: {missing} links are gone"))
    reason = _unlinked(session) or _unexplained(session, begin)
    return replace(report, broken_at=report.links + 1, reason=reason) if reason else report


def follow(
    chain: Iterable[tuple[Any, Any]], begin: tuple[int, str], exported: Mapping[str, Any] | None = None
) -> ChainReport:
    """Link by link from `begin` on."""
    seq, head = begin
    for link, record in chain:
        reason = _broken(link, record, seq, head)
        if reason:
            return ChainReport(seq, head, seq + 1, reason)
        seq, head = link.seq, link.hash
        if exported and seq == exported["links"] and head != exported["head"]:
            return ChainReport(seq, head, seq, N_("the chain up to here is not the one whose head was exported"))
    return ChainReport(seq, head)


def chain(session: Session, up_to: int | None = None) -> Iterator[tuple[Any, Any]]:
    """Each link with its record, or None where that is gone."""
    links = AuditLink.__table__
    log = ProvisionLog.__table__
    statement = (
        select(
            links, log.c.id.label("log_id"), *(log.c[name] for name in dict.fromkeys(INTENT_FIELDS + OUTCOME_FIELDS))
        )
        .outerjoin(log, log.c.uid == links.c.log_uid)
        .order_by(links.c.seq)
        .execution_options(yield_per=1000)
    )
    if up_to is not None:
        statement = statement.where(links.c.seq <= up_to)
    for row in session.execute(statement):
        yield row, row._mapping if row.log_id is not None else None


def _unexplained(session: Session, begin: tuple[int, str]) -> str | None:
    """A checkpoint of which no record speaks was put there to hide what stood before it."""
    if begin[0] == 0:
        return None
    payloads = session.scalars(select(ProvisionLog.payload).where(ProvisionLog.operation == ARCHIVE))
    if any((payload.get("links"), payload.get("head")) == begin for payload in payloads):
        return None
    return N_(f"no record tells who moved the links up to {begin[0]} away")


def _broken(link: Any, record: Mapping[str, Any] | None, seq: int, head: str) -> str | None:
    if link.seq != seq + 1:
        return N_(f"links {seq + 1} to {link.seq - 1} are gone")
    if link.hash != link_hash(head, link.seq, link.at, link.phase, link.log_uid, link.digest):
        return N_("the link does not follow from the one before: it was changed, moved or inserted")
    if record is None:
        return N_(f"the record {link.log_uid} is gone from the log")
    if record_digest(link.phase, record) != link.digest:
        return N_(f"the record {link.log_uid} was changed after it was written")
    return None


def _unlinked(session: Session) -> str | None:
    """A log row that no link speaks of was inserted behind the program's back, or lost its link."""
    for phase, statuses in (("intent", tuple(LogStatus)), ("outcome", (LogStatus.SUCCESS, LogStatus.FAILED))):
        # Not “not in”: PostgreSQL would compare a million records with a million links each.
        linked = select(AuditLink.seq).where(AuditLink.log_uid == ProvisionLog.uid, AuditLink.phase == phase)
        stray = select(ProvisionLog.uid).where(ProvisionLog.status.in_(statuses), ~linked.exists())
        if found := session.execute(stray.limit(1)).scalar():
            return N_(f"the record {found} has no {phase} link: it was inserted, or the end of the chain is cut off")
    return None
