"""Why a row is not on its mail server yet, or no longer: the one place that pages, command line and API ask.

Sentences are English and hold no times: those stand beside them, for the reader's zone.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from provision.core.texts import N_
from provision.storage.models import Server, SyncStatus
from provision.sync.engine import quiet_seconds, quiet_until
from provision.sync.work import LONGEST_SILENCE


class Remedy(StrEnum):
    """What can be done."""

    PUSH = "push"  # now, not later by itself
    LOOK = "look"  # at what is missing, before anything is sent
    RETRY = "retry"
    COMPARE = "compare"
    RESET_PASSWORD = "reset_password"


ADVICE: dict[Remedy, str] = N_(
    {
        Remedy.PUSH: "It is sent by itself; a push sends it now.",
        Remedy.LOOK: "See in the preview what is missing, and that this is the right server with its volume mounted. "
        "All goes on by itself when that is back; if it is meant, a super admin can send anyway.",
        Remedy.RETRY: "Put right what the mail server says, then retry.",
        Remedy.COMPARE: "Compare the two sides and choose which one counts.",
        Remedy.RESET_PASSWORD: "Reset its password.",
    }
)
OF_A_CODE = {
    "SYNC_CONFLICT": Remedy.COMPARE,
    "MAILBOX_GONE": Remedy.RESET_PASSWORD,
    "KEY_UNUSABLE": Remedy.RESET_PASSWORD,
}


class Explanation(NamedTuple):
    """Nothing of it is known where there is nothing to explain. `next_attempt_at` None: at once, or after a person."""

    reason_code: str | None = None
    reason: str | None = None
    next_attempt_at: datetime | None = None
    remedy: Remedy | None = None
    advice: str | None = None


def explain(row: Mapping[str, Any], server: Server, now: datetime) -> Explanation:
    """`row`: as a list has it; `server`: its mail server."""
    if row["sync_status"] == SyncStatus.SYNCED:
        return Explanation()
    if row["sync_status"] == SyncStatus.FAILED:
        why = _refused(row, None)
    else:
        why = explain_server(server, now, row["next_attempt_at"]) or _waits(row, server, now)
    if row["removing"] and why.reason_code != "REMOVING":
        return why._replace(reason=N_(f"To be removed: {why.reason}"))
    return why


def explain_server(server: Server, now: datetime, not_before: datetime | None = None) -> Explanation | None:
    """Why nothing goes out to a mail server, if that is so."""
    if server.alarm:
        reason = N_(f"The mail server {server.name} is halted: {server.alarm}")
        return _because("UNSAFE_PLAN", reason, None, Remedy.LOOK)
    if server.error:
        reason = N_(f"The mail server {server.name} cannot be reached: {server.error}")
        return _because("SERVER_UNREACHABLE", reason, _later(now, not_before, server.next_attempt_at), Remedy.PUSH)
    return None


def _waits(row: Mapping[str, Any], server: Server, now: datetime) -> Explanation:
    gathering_until = quiet_until(server, now)
    at = _later(now, row["next_attempt_at"], server.next_attempt_at, gathering_until)
    if row["error"]:
        return _refused(row, at)
    if gathering_until:
        reason = N_(
            f"Gathered with what else comes within {quiet_seconds(server):g} s, "
            "because every write interrupts the mail server."
        )
        return _because("GATHERING", reason, at, Remedy.PUSH)
    if row["removing"]:
        return _because("REMOVING", N_("It is being removed from the mail server."), at, Remedy.PUSH)
    return _because("WAITING", N_("It waits for its turn."), at, Remedy.PUSH)


def _refused(row: Mapping[str, Any], next_attempt_at: datetime | None) -> Explanation:
    """By the mail server, or before it was asked."""
    code = row["error_code"] or "COMMAND_FAILED"
    return _because(code, row["error"] or "", next_attempt_at, OF_A_CODE.get(code, Remedy.RETRY))


def _because(code: str, reason: str, next_attempt_at: datetime | None, remedy: Remedy) -> Explanation:
    return Explanation(code, reason, next_attempt_at, remedy, ADVICE[remedy])


def _later(now: datetime, *moments: datetime | None) -> datetime | None:
    """The last of them. What is further ahead than any pause was set while the clock was wrong: that holds nothing."""
    return max((moment for moment in moments if moment and moment <= now + LONGEST_SILENCE), default=None)
