"""What became of a change: on the mail server, or why not yet and how to send it."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from provision.cli.output import say, say_json
from provision.cli.session import Code, Session
from provision.cli.views import view
from provision.core.errors import NotFound
from provision.storage.models import Alias, Mailbox, SyncStatus
from provision.sync.engine import quiet_seconds

Synced = Mailbox | Alias
REMOVED = "REMOVED"


def report(session: Session, done: str, row: Synced, *, as_json: bool, **more: Any) -> int:
    """Say what was done to one row and how far it has come; the exit code says the same."""
    state, shown = _look(session, row)
    if as_json:
        say_json({**shown, **more})
    else:
        say(*_lines(done, row, shown))
    return _code([state])


def report_many(session: Session, done: str, rows: Sequence[Synced], errors: Sequence[str], *, as_json: bool) -> int:
    """The same for several rows, and why others were left out; a refusal outweighs a wait."""
    looks = [(row, *_look(session, row)) for row in rows]
    if as_json:
        say_json({"done": [shown for _, _, shown in looks], "errors": list(errors)})
    else:
        for row, _, shown in looks:
            say(*_lines(done, row, shown))
        say(*errors)
    return Code.REFUSED if errors else _code([state for _, state, _ in looks])


def _lines(done: str, row: Synced, shown: Mapping[str, Any]) -> list[str]:
    lines = [f"{done} {row.address}: {shown['sync_status']}."]
    if shown["reason"]:
        lines += [f"  {shown['reason']}", f"  {shown['next']}"]
    return lines


def _look(session: Session, row: Synced) -> tuple[str, dict[str, Any]]:
    """How far the row is now, and as a dict. A row that is gone was removed on the server."""
    if row.removing and _is_gone(session, row):
        return REMOVED, {**view(row), "sync_status": REMOVED, "reason": None, "next": None}
    reason, then = why_unsynced(session, row)
    return row.sync_status, {**view(row), "reason": reason, "next": then}


def _is_gone(session: Session, row: Synced) -> bool:
    find = session.app.queries.mailbox if isinstance(row, Mailbox) else session.app.queries.alias
    with suppress(NotFound):
        find(session.actor, row.uid)
        return False
    return True


def why_unsynced(session: Session, row: Synced) -> tuple[str | None, str | None]:
    """Why a row is not on the mail server yet, and the command that changes it."""
    if row.sync_status == SyncStatus.SYNCED:
        return None, None
    if row.sync_status == SyncStatus.FAILED:
        return f"Given up: {row.error}", f"Try again: python -m provision sync retry {row.address}"
    server = next(s for s in session.app.queries.servers(session.actor) if s.id == row.server_id)
    now = f"Send it now: python -m provision sync push {shlex.quote(server.name)}"
    if row.error:
        return f"Refused, and tried again later: {row.error}", now
    if server.alarm:
        return f"Held back: {server.alarm}", f"{now} --force"
    if server.error:
        return f"The mail server {server.name} cannot be reached: {server.error}", now
    quiet = quiet_seconds(server)
    if quiet:
        return f"Gathered with what else comes within {quiet:g} s, because every write interrupts the mail server.", now
    return "It has not been sent yet; another push to this mail server may be running.", now


def _code(states: Sequence[str]) -> int:
    return Code.DONE if all(state in (SyncStatus.SYNCED, REMOVED) for state in states) else Code.WAITING
