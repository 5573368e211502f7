"""What one attempt of a push came to, and how that is written into the rows and the log."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from provision.audit import chain
from provision.audit.chain import Finish, Subject
from provision.audit.events import Operation
from provision.core.access import Actor
from provision.core.errors import Unreachable
from provision.core.plan import Plan
from provision.core.policy import Policy
from provision.core.secret import Secret, hide
from provision.core.state import Key, Outcome, ServerState, key_of
from provision.core.texts import N_
from provision.core.traits import Traits
from provision.storage.models import LogStatus
from provision.sync.progress import FailedAttempt, mark_confirmed, mark_delivered, mark_failed, mark_owned, pending_logs
from provision.sync.result import PushResult, RejectedChange
from provision.sync.work import Item, Work

VANISHED = N_("Written, but gone when read back: something else keeps changing it there.")
FOREIGN = N_("An entry with this address was made on the mail server by somebody else; choose which one counts.")
ADDRESS_CONFLICT = N_(
    "The mail server has an alias where a mailbox is wanted, or the reverse; import that or remove it, then retry."
)
GONE = N_("It is gone from the mail server, and its password is not kept here: reset the password to make it anew.")
UNREADABLE = N_("Its waiting password was sealed with a key that is gone; reset the password.")


class Rejection(NamedTuple):
    error: str
    code: str
    final: bool  # trying again is pointless


@dataclass(slots=True)
class PushAttempt:
    """What one chunk of read → plan → apply → read back came to."""

    plan: Plan
    outcomes: dict[Key, Outcome]
    verified: set[Key]  # due, and on the server as wanted
    vanished: set[Key]  # applied without error, and not there when read back
    traits: Traits
    accounts: int | None = None  # on the server; None where not all was read
    owned: Collection[Key] = ()  # made by us in this chunk
    unreachable: Unreachable | None = None
    actual: ServerState | None = None  # as last read

    def hide(self, secrets: Collection[Secret]) -> None:
        """Without the secret settings of the server, should its driver have quoted them."""
        if not secrets:
            return
        for key, outcome in self.outcomes.items():
            self.outcomes[key] = replace(
                outcome,
                command=hide(outcome.command, secrets),
                stdout=hide(outcome.stdout, secrets),
                stderr=hide(outcome.stderr, secrets),
                error=hide(outcome.error, secrets) if outcome.error else None,
            )
        if self.unreachable:
            self.unreachable.reword(hide(self.unreachable.message, secrets))


def record(
    session: Session, work: Work, done: PushAttempt, policy: Policy, now: datetime, result: PushResult, *, is_last: bool
) -> None:
    """Write down how far each row has come. Rows, their records, then the chain: in another order than everybody else's
    this and somebody who edits could wait for each other."""
    mark_owned(session, [work.items[key] for key in done.owned if key not in done.verified])
    fresh, repaired = _mark_verified(session, work, done, now)
    failures = _mark_rejected(session, work, done, policy, now, is_last)
    finishes = [
        _finish(log_uid, LogStatus.SUCCESS, done.outcomes.get(item.key))
        for item, log_uid in pending_logs(session, fresh)
    ]
    chain.record_outcomes(session, finishes + _finish_failures(session, failures, done))
    for item in repaired:
        _record_repair(session, item, done.outcomes[item.key])
    result.delivered += len(fresh) + len(repaired)
    result.failed += len(failures)
    result.failures += [RejectedChange(failure.item.key.address, failure.error) for failure in failures]


def _mark_verified(session: Session, work: Work, done: PushAttempt, now: datetime) -> tuple[list[Item], list[Item]]:
    """What is on the server as wanted; of this what is new there, and what was sent once more."""
    verified = [work.items[key] for key in done.verified]
    fresh = [item for item in verified if not item.confirming]
    repaired = [item for item in verified if item.confirming and item.key in done.outcomes]
    confirmed = [item for item in verified if item.confirming and item.key not in done.outcomes]
    mark_delivered(session, [*fresh, *repaired], now)
    if done.traits.confirm_after_seconds is None:  # nothing else writes there
        mark_confirmed(session, verified)
        return fresh, repaired
    confirm_after = timedelta(seconds=done.traits.confirm_after_seconds)
    mark_confirmed(session, [i for i in confirmed if i.last_synced_at and now - i.last_synced_at >= confirm_after])
    return fresh, repaired


def _mark_rejected(
    session: Session, work: Work, done: PushAttempt, policy: Policy, now: datetime, is_last: bool
) -> list[FailedAttempt]:
    """What was not done: to be tried again later, or given up."""
    rejections = _rejections(work, done, is_last)
    # Delivered, and taken away since: a difference, no failure.
    gone = {key for key, why in rejections.items() if work.items[key].confirming and why.code == "MAILBOX_GONE"}
    mark_confirmed(session, [work.items[key] for key in gone])
    failures = [
        _failed_attempt(work.items[key], why, policy, now) for key, why in rejections.items() if key not in gone
    ]
    mark_failed(session, failures)
    return failures


def _failed_attempt(item: Item, rejection: Rejection, policy: Policy, now: datetime) -> FailedAttempt:
    attempts = item.attempts + 1
    final = rejection.final or attempts >= policy.max_attempts
    retry_at = None if final else now + timedelta(seconds=pause(attempts, policy))
    return FailedAttempt(item, rejection.error, rejection.code, attempts, retry_at)


def _finish_failures(session: Session, failures: Sequence[FailedAttempt], done: PushAttempt) -> list[Finish]:
    """The ends of what is given up; the records of what is tried again say why it is not done yet."""
    by_key = {failure.item.key: failure for failure in failures}
    finishes, reasons = [], {}
    for item, log_uid in pending_logs(session, [failure.item for failure in failures]):
        failure = by_key[item.key]
        if failure.retry_at is None:
            finishes.append(_finish(log_uid, LogStatus.FAILED, done.outcomes.get(item.key), failure.error))
        else:
            reasons[log_uid] = failure.error
    chain.record_attempts(session, reasons)
    return finishes


def pause(attempts: int, policy: Policy) -> float:
    """Seconds until the next try: doubling, capped, with jitter so that many do not come at once."""
    doubled: float = policy.retry_base_seconds * 2 ** min(attempts - 1, 30)
    return min(policy.retry_cap_seconds, doubled) * random.uniform(0.5, 1.0)


def note(outcomes: dict[Key, Outcome], outcome: Outcome) -> Key:
    """Several changes of one entry are one record: the commands joined, the first error kept. Returns which entry."""
    key = key_of(outcome.change)
    before = outcomes.get(key)
    if before is None:
        outcomes[key] = outcome
        return key
    outcomes[key] = Outcome(
        outcome.change,
        f"{before.command}; {outcome.command}",
        before.exit_code or outcome.exit_code,
        before.stdout + outcome.stdout,
        before.stderr + outcome.stderr,
        before.duration_ms + outcome.duration_ms,
        before.error or outcome.error,
    )
    return key


def _rejections(work: Work, done: PushAttempt, is_last: bool) -> dict[Key, Rejection]:
    found: dict[Key, Rejection] = {}
    for key, run in done.outcomes.items():
        if run.error:
            found[key] = Rejection(run.error, "COMMAND_FAILED", final=False)
        elif key in done.vanished and is_last:
            found[key] = Rejection(VANISHED, "COMMAND_FAILED", final=False)
    found.update(
        {difference.key: Rejection(FOREIGN, "SYNC_CONFLICT", final=True) for difference in done.plan.conflicts}
    )
    found.update(dict.fromkeys(done.plan.address_conflicts, Rejection(ADDRESS_CONFLICT, "SYNC_CONFLICT", final=True)))
    found.update({key: Rejection(_blocked(key, why), "SYNC_CONFLICT", final=True) for key, why in done.plan.blocked})
    found.update(dict.fromkeys(done.plan.unrecoverable, Rejection(GONE, "MAILBOX_GONE", final=True)))
    found.update(dict.fromkeys(work.unreadable, Rejection(UNREADABLE, "KEY_UNUSABLE", final=True)))
    return found


def _blocked(key: Key, reason: str) -> str:
    return N_(f"The entry of {key.address} on the mail server cannot be managed, so it was not touched: {reason}.")


def _finish(log_uid: Any, status: LogStatus, outcome: Outcome | None, error: str | None = None) -> Finish:
    if outcome is None:
        return Finish(log_uid, status, command="nothing to do: it is so on the server", error=error, duration_ms=0)
    return Finish(
        log_uid, status, outcome.command, outcome.exit_code, outcome.stdout, outcome.stderr, error, outcome.duration_ms
    )


def _record_repair(session: Session, item: Item, outcome: Outcome) -> None:
    """Another writer on the server had overwritten our line; it was sent again."""
    subject = Subject(item.key.resource, item.uid, item.key.address, item.key.address.rpartition("@")[2])
    (uid,) = chain.record_intents(
        session, Actor.system("sync"), Operation(f"{item.key.resource}.repair"), [(subject, {})]
    )
    chain.record_outcomes(session, [_finish(uid, LogStatus.SUCCESS, outcome)])
