"""What became of a change: on the mail server, or why not yet and how to send it."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from provision.cli.output import say, say_json
from provision.cli.session import Code, Session
from provision.cli.views import view, without_ids
from provision.core.errors import NotFound
from provision.core.state import Resource
from provision.queries import Explanation, Remedy
from provision.queries.rows import AliasRow, MailboxRow
from provision.storage.models import Alias, Mailbox, SyncStatus

Synced = Mailbox | Alias
REMOVED = "REMOVED"
NEXT = {
    Remedy.PUSH: "Send it now: python -m provision sync push {server}",
    Remedy.LOOK: "See what is missing: python -m provision sync preview {server}; "
    "all goes on when that is back. If it is meant: python -m provision sync push {server} --force",
    Remedy.RETRY: "Try again: python -m provision sync retry {address}",
    Remedy.COMPARE: "Choose which side counts: python -m provision sync preview {server}, "
    "then python -m provision sync resolve {address} --server {server} --wins dashboard (or server)",
    Remedy.RESET_PASSWORD: "Set a new password: python -m provision mailbox passwd {address}",
}


def report(session: Session, done: str, row: Synced, *, as_json: bool, **more: Any) -> int:
    """Say what was done to one row and how far it has come; the exit code says the same."""
    shown = look(session, row)
    warnings = [] if shown["sync_status"] == REMOVED else warnings_of(session, row)
    if as_json:
        say_json({**shown, "removed": row.removed, "warnings": warnings, **more})
    else:
        say(*_lines(done, shown), *_went_with(row.removed), *(f"  Warning: {text}" for text in warnings))
    return _code([shown])


def warnings_of(session: Session, row: Synced) -> list[str]:
    """What hinders its mail from arriving as it is meant."""
    if isinstance(row, Alias):
        return session.app.queries.alias_warnings(session.actor, row.address, row.destinations)
    return session.app.queries.mailbox_warnings(session.actor, row.address)


def _went_with(removed: Sequence[str]) -> list[str]:
    return [f"  Removed with it, as nothing is left where they lead: {', '.join(removed)}."] if removed else []


def report_many(
    session: Session,
    done: str,
    rows: Sequence[Synced],
    errors: Sequence[str],
    *,
    as_json: bool,
    removed: Sequence[str] = (),
) -> int:
    """The same for several rows, and why others were left out; a refusal outweighs a wait."""
    looks = [look(session, row) for row in rows]
    if as_json:
        say_json({"done": looks, "errors": list(errors), "removed": list(removed)})
    else:
        for shown in looks:
            say(*_lines(done, shown))
        say(*_went_with(removed), *errors)
    return Code.REFUSED if errors else _code(looks)


def _lines(done: str, shown: Mapping[str, Any]) -> list[str]:
    lines = [f"{done} {shown['address']}: {shown['sync_status']}."]
    if shown.get("login_open"):
        lines.append("  Its account stays as it is on the mail server: one can still log in.")
    return [*lines, f"  {shown['reason']}", f"  {shown['next']}"] if shown["reason"] else lines


def look(session: Session, row: Synced) -> dict[str, Any]:
    """The row as it is now, with why it is not on the mail server yet and the command that changes it."""
    resource = Resource.MAILBOX if isinstance(row, Mailbox) else Resource.ALIAS
    try:
        now = session.app.queries.row(session.actor, resource, row.uid)
    except NotFound:  # its removal is done
        return {**view(row), **Explanation()._asdict(), "sync_status": REMOVED, "next": None}
    return {**without_ids(now), "next": next_step(session, now)}


def next_step(session: Session, row: MailboxRow | AliasRow) -> str | None:
    """The command that brings a row of a list further."""
    if row["remedy"] is None:
        return None
    name = next(s.name for s in session.app.queries.servers(session.actor) if s.id == row["server_id"])
    return NEXT[row["remedy"]].format(server=shlex.quote(name), address=row["address"])


def _code(shown: Sequence[Mapping[str, Any]]) -> int:
    return Code.DONE if all(row["sync_status"] in (SyncStatus.SYNCED, REMOVED) for row in shown) else Code.WAITING
