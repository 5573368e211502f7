"""Proof of the log: the chain is walked, and the records are held against it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provision.audit.chain import (
    ATTEMPT_FIELDS,
    CHECKPOINT,
    INTENT_FIELDS,
    OUTCOME_FIELDS,
    UNREADABLE,
    checkpoint_digest,
    is_keyed,
    keys_of,
    link_hash,
    record_digest,
    start,
)
from provision.core.texts import N_
from provision.storage.models import AuditCheckpoint, AuditLink, LogStatus, Operator, ProvisionLog

LINKS = AuditLink.__table__
LOG = ProvisionLog.__table__
OPEN = tuple(name for name in OUTCOME_FIELDS if name not in ("uid", "status", "error"))  # empty while it is PENDING
AT_ONCE = 1000  # rows
OTHER_HEAD = N_("the chain up to here is not the one whose head was exported")


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What was found. `broken_at` is the number of the first link that is wrong; None beside a reason: nothing is known
    to be wrong, but what was asked for cannot be confirmed."""

    links: int
    head: str
    broken_at: int | None = None
    reason: str | None = None
    keyed: bool = False  # the end was made with the key

    @property
    def intact(self) -> bool:
        return self.reason is None


class Unreadable(Exception):
    """A link, or the record it speaks of, holds what no such column can."""


def verify(session: Session, exported: Mapping[str, Any] | None = None) -> ChainReport:
    """Walk the whole chain and the log beside it; `exported`: a head that was kept outside."""
    report = follow(chain(session), start(session), keys_of(session), exported)
    if not report.intact:
        return report
    if exported and report.links < exported["links"]:
        missing = exported["links"] - report.links
        return replace(report, broken_at=report.links + 1, reason=N_(f"the tail is cut off: {missing} links are gone"))
    reason = _without_key(session, report) or _unlinked(session) or _open_changed(session) or _unexplained(session)
    return replace(report, broken_at=report.links + 1, reason=reason) if reason else report


def follow(
    chain: Iterable[tuple[Any, Any]],
    begin: tuple[int, str],
    keys: Sequence[bytes] = (),
    exported: Mapping[str, Any] | None = None,
) -> ChainReport:
    """Link by link from `begin` on."""
    report = ChainReport(*begin)
    try:
        for link, record in chain:
            keyed = is_keyed(link, report.head, keys)
            if reason := _broken(link, record, report, keyed):
                return replace(report, broken_at=report.links + 1, reason=reason)
            report = ChainReport(link.seq, link.hash, keyed=keyed)
            if exported and link.seq == exported["links"] and link.hash != exported["head"]:
                return replace(report, broken_at=link.seq, reason=OTHER_HEAD)
    except Unreadable:
        reason = N_("the link, or the record it speaks of, holds what cannot be read")
        return replace(report, broken_at=report.links + 1, reason=reason)
    return report


def chain(session: Session, up_to: int | None = None) -> Iterator[tuple[Any, Any]]:
    """Each link with its record, or None where that is gone. Raises: Unreadable, behind the last that can be read."""
    last: int | None = None
    for at_once in (AT_ONCE, 1):
        try:
            for row in session.execute(_links_with_records(last, up_to).execution_options(yield_per=at_once)):
                yield row, row._mapping if row.log_id is not None else None
                last = row.seq
            return
        except UNREADABLE:
            continue
    raise Unreadable


def _links_with_records(after: int | None, up_to: int | None) -> Any:
    fields = dict.fromkeys(INTENT_FIELDS + OUTCOME_FIELDS)
    columns: tuple[Any, ...] = (LINKS, LOG.c.id.label("log_id"), LOG.c.id, *(LOG.c[name] for name in fields))
    statement = select(*columns).outerjoin(LOG, LOG.c.uid == LINKS.c.log_uid)
    if after is not None:
        statement = statement.where(LINKS.c.seq > after)
    if up_to is not None:
        statement = statement.where(LINKS.c.seq <= up_to)
    return statement.order_by(LINKS.c.seq)


def _broken(link: Any, record: Mapping[str, Any] | None, report: ChainReport, keyed: bool) -> str | None:
    if link.seq != report.links + 1:
        return N_(f"links {report.links + 1} to {link.seq - 1} are gone")
    told = (link.seq, link.at, link.phase, link.log_uid, link.digest)
    if not keyed and (report.keyed or link.hash != link_hash(report.head, *told)):
        return N_(
            "the link does not follow from the one before: it was changed, moved or inserted, or made with another key"
        )
    if link.phase == CHECKPOINT:
        return None
    if record is None:
        return N_(f"the record {link.log_uid} is gone from the log")
    if link.phase != "attempt" and record_digest(link.phase, record, keyed=keyed) != link.digest:
        return N_(f"the record {link.log_uid} was changed after it was written")
    return None


def _without_key(session: Session, report: ChainReport) -> str | None:
    """Whoever has no key can make a chain without one, or leave none."""
    if report.keyed or not keys_of(session):
        return None
    used = report.links or session.scalar(select(LOG.c.id).limit(1)) or session.scalar(select(Operator.id).limit(1))
    return N_("the end was not made with the key of this installation: the log was made anew") if used else None


def _unlinked(session: Session) -> str | None:
    """A log row that no link speaks of was inserted behind the program's back, or lost its link."""
    is_over = func.coalesce(LOG.c.status, "") != LogStatus.PENDING
    for phase, conditions in (("intent", ()), ("outcome", (is_over,))):
        # Not “not in”: PostgreSQL would compare a million records with a million links each.
        linked = select(LINKS.c.seq).where(LINKS.c.log_uid == LOG.c.uid, LINKS.c.phase == phase)
        stray = session.scalar(select(LOG.c.id).where(*conditions, ~linked.exists()).limit(1))
        if stray is not None:
            return N_(
                f"the record number {stray} has no {phase} link: it was inserted, or the end of the chain is cut off"
            )
    return None


def _open_changed(session: Session) -> str | None:
    """What is not over has no outcome yet, and the reason of its last try, as that was linked."""
    pending = LOG.c.status == LogStatus.PENDING
    noted = select(LINKS.c.log_uid, LINKS.c.digest).where(LINKS.c.phase == "attempt").order_by(LINKS.c.seq)
    reasons = dict(session.execute(noted.join(LOG, LOG.c.uid == LINKS.c.log_uid).where(pending)).tuples().all())
    columns = [LOG.c.id, *(LOG.c[name] for name in (*ATTEMPT_FIELDS, *OPEN))]
    for row in session.execute(select(*columns).where(pending)).mappings():
        digest = record_digest("attempt", dict(row)) if row["error"] is not None else None
        if digest != reasons.get(row["uid"]) or any(row[name] is not None for name in OPEN):
            return N_(f"the record number {row['id']}, which is not over yet, was changed")
    return None


def _unexplained(session: Session) -> str | None:
    """A checkpoint of which no link speaks was put there to hide what stood before it."""
    newest = select(LINKS.c.digest).where(LINKS.c.phase == CHECKPOINT).order_by(LINKS.c.seq.desc()).limit(1)
    digest = session.scalar(newest)
    if digest is None and session.scalar(select(func.count()).select_from(AuditCheckpoint)) == 0:
        return None
    try:
        explained = digest == checkpoint_digest(session)
    except UNREADABLE:
        explained = False
    return (
        None if explained else N_("no link speaks of the checkpoints as they are: somebody else has moved links away")
    )
