"""The provision log and the chain over it.

Every operation is recorded twice: as an intent, in the transaction that wants it, and as an outcome, in the one that
knows it; a try that failed, and is made again, between them. Each record is a link that holds the hash of the link
before, made with a key that is not in the database: who has the database alone can break the chain, not mend it. Rows
are only inserted; a log row is completed once, after which the database itself refuses to change it. Old records may be
moved to a file (provision.audit.archive); the chain then begins at a checkpoint, of which a link further on speaks.
How all this is proved: provision.audit.proof.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.orm import Session
from uuid6 import uuid7

from provision.audit.events import Operation
from provision.core.access import Actor
from provision.core.errors import AccessDenied, ProvisionError
from provision.storage.database import Database
from provision.storage.encryption import chain_keys
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
ATTEMPT_FIELDS = ("uid", "error")
PHASES = {"intent": INTENT_FIELDS, "attempt": ATTEMPT_FIELDS, "outcome": OUTCOME_FIELDS}
UNREADABLE = (ValueError, TypeError, AttributeError, OverflowError)  # what a column raises that somebody has changed
CHECKPOINT = "anchor"  # the phase of a link that speaks of no record, but of all checkpoints there are


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
        made = session.execute(insert(ProvisionLog).returning(ProvisionLog.uid, ProvisionLog.id), rows)
        ids = dict(made.tuples().all())
        _append(session, "intent", [{**row, "id": ids[row["uid"]]} for row in rows])
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


def record_attempts(session: Session, reasons: Mapping[UUID, str]) -> None:
    """Why these PENDING operations are not done yet."""
    rows = [{"uid": uid, "error": _cut(reason)} for uid, reason in reasons.items()]
    if rows:
        statement = update(ProvisionLog.__table__).where(ProvisionLog.uid == bindparam("key"))  # type: ignore[arg-type]
        session.connection().execute(statement, [{"key": row["uid"], "error": row["error"]} for row in rows])
        _append(session, "attempt", rows)


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
    keyed = bool(keys_of(session))
    _link(session, phase, [(row["uid"], record_digest(phase, row, keyed=keyed)) for row in rows])


def _link(session: Session, phase: str, told: Sequence[tuple[UUID, str]]) -> None:
    """Add links in one piece: the chain has one end, so writers queue for it. `told`: about what, and its digest."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
    key = next(iter(keys_of(session)), None)
    seq, head = _head(session)
    if key and head == GENESIS and phase != CHECKPOINT:
        link_checkpoints(session)
        seq, head = _head(session)
    now = utc_now()
    links = []
    for uid, digest in told:
        seq += 1
        head = link_hash(head, seq, now, phase, uid, digest, key)
        links.append({"seq": seq, "at": now, "phase": phase, "log_uid": uid, "digest": digest, "hash": head})
    session.execute(insert(AuditLink), links)


def _head(session: Session) -> tuple[int, str]:
    last = session.execute(select(AuditLink.seq, AuditLink.hash).order_by(AuditLink.seq.desc()).limit(1)).first()
    return (last.seq, last.hash) if last else start(session)


def start(session: Session) -> tuple[int, str]:
    """Number and hash of the link before the first one that is here."""
    newest = select(AuditCheckpoint.seq, AuditCheckpoint.hash).order_by(AuditCheckpoint.seq.desc()).limit(1)
    last = session.execute(newest).first()
    return (last.seq, last.hash) if last else (0, GENESIS)


def export_head(session: Session) -> dict[str, Any]:
    """The chain's end, to be kept outside: a later proof against it notices a cut or rewritten tail."""
    seq, head = _head(session)
    return {"links": seq, "head": head, "exported_at": utc_now().isoformat()}


def record_digest(phase: str, record: Mapping[str, Any], *, keyed: bool = False) -> str:
    """SHA-256 of the record's fields of this phase as sorted JSON; times as microseconds UTC."""
    return _digest(plain_record(phase, record, keyed=keyed))


def plain_record(phase: str, record: Mapping[str, Any], *, keyed: bool = False) -> dict[str, Any]:
    """The record's fields of this phase as JSON has them. The first releases, without a key, left the number out."""
    number = ("id",) if keyed and phase == "intent" else ()
    return {name: _plain(record[name]) for name in (*PHASES[phase], *number)}


def _digest(plain: Any) -> str:
    told = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


def link_hash(
    previous: str, seq: int, at: datetime, phase: str, log_uid: UUID, digest: str, key: bytes | None = None
) -> str:
    """HMAC-SHA-256; without a key, as in the first releases, SHA-256."""
    line = f"{previous}\n{seq}\n{at.isoformat(timespec='microseconds')}\n{phase}\n{log_uid}\n{digest}".encode()
    return hmac.new(key, line, "sha256").hexdigest() if key else hashlib.sha256(line).hexdigest()


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


# ---- keys and checkpoints ------------------------------------------------------------------


def keys_of(session: Session) -> tuple[bytes, ...]:
    """The first one makes links, each of them proves one."""
    return tuple(session.info.get("chain_keys", ()))


def link_checkpoints(session: Session) -> None:
    """A link that speaks of every checkpoint there is."""
    _link(session, CHECKPOINT, [(uuid7(), checkpoint_digest(session))])


def checkpoint_digest(session: Session) -> str:
    columns = (AuditCheckpoint.seq, AuditCheckpoint.hash, AuditCheckpoint.at, AuditCheckpoint.file)
    rows = session.execute(select(*columns).order_by(AuditCheckpoint.seq))
    return _digest([[_plain(value) for value in row] for row in rows])


def open_keys(path: Path, database: Database, *, write: bool = True) -> None:
    """Give the database the keys of that file, made at the first start. `write`: from here on they count.

    Raises: ProvisionError where the file is gone, and the log was made with it.
    """
    if not path.exists() and _is_needed(database):
        raise ProvisionError(
            f"The key file {path} is gone, and the log was made with it. Put it back. If it is lost for good: "
            "python -m provision key new; what was recorded until then can never be proved again.",
            code="KEY_UNUSABLE",
        )
    database.chain_keys = chain_keys(path)
    if write:
        _begin_with_key(database)


def _is_needed(database: Database) -> bool:
    with database.read() as session:
        return session.scalar(select(AuditLink.seq).where(AuditLink.phase == CHECKPOINT).limit(1)) is not None


def _begin_with_key(database: Database) -> None:
    """Go on with the key where the chain was begun without one, or with one that is lost."""
    with database.read() as session:
        if _head(session) == (0, GENESIS) or _has_key(session):
            return
    with database.write() as session:
        noted = (ProvisionLog.status == LogStatus.PENDING, ProvisionLog.error.is_not(None))
        pending = session.execute(select(ProvisionLog.uid, ProvisionLog.error).where(*noted))
        told = [dict(row) for row in pending.mappings()]
        if told:
            _append(session, "attempt", told)
        link_checkpoints(session)


def _has_key(session: Session) -> bool:
    """Whether the newest link of this kind was made with one of our keys."""
    newest = select(AuditLink).where(AuditLink.phase == CHECKPOINT).order_by(AuditLink.seq.desc()).limit(1)
    try:
        link = session.scalar(newest)
    except UNREADABLE:
        return False
    if link is None:
        return False
    before = session.scalar(select(AuditLink.hash).where(AuditLink.seq == link.seq - 1)) or start(session)[1]
    return is_keyed(link, before, keys_of(session))


def is_keyed(link: Any, before: str, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys made this link."""
    told = (before, link.seq, link.at, link.phase, link.log_uid, link.digest)
    return any(link_hash(*told, key) == link.hash for key in keys)
