"""What became of a change: on the mail server, or why not yet, when it is tried again and what can be done."""

from collections.abc import Mapping
from typing import Any

from provision.core.access import Actor
from provision.core.errors import NotFound
from provision.core.state import Resource
from provision.identity.sign_in import SignedIn
from provision.queries import Remedy
from provision.queries.rows import Explained
from provision.storage.models import Alias, Mailbox, Status, SyncStatus
from webui.kit import format, problems, ui
from webui.kit.i18n import _


def outcome(actor: Actor, row: Mailbox | Alias) -> tuple[bool, str]:
    """Whether what is wanted of it is done on the mail server; and how far it is, and why not further."""
    resource = Resource.MAILBOX if isinstance(row, Mailbox) else Resource.ALIAS
    try:
        now = ui.app().queries.row(actor, resource, row.uid)
    except NotFound:
        return True, _("It is removed from the mail server.")
    if now["sync_status"] == SyncStatus.SYNCED:
        return True, _arrived(now)
    return False, explanation(now)


def _arrived(row: Mapping[str, Any]) -> str:
    if row.get("login_open"):
        return _("On the mail server all stays as it is: one can still log in.")
    if row.get("status") == Status.DELETED:
        return _("Nobody can log in to it on the mail server.")
    return _("It is on the mail server.")


def done(who: SignedIn, text: str, row: Mailbox | Alias) -> None:
    """Close the dialog, and say what was done and how far it has come."""
    arrived, how_far = outcome(who.actor, row)
    if warnings := [] if row.removing else _warnings(who.actor, row):
        ui.done(text, " ".join([how_far, *map(problems.translated, warnings)]))
    if arrived:
        ui.done(f"{text} {how_far}")
    ui.done(text, how_far)


def _warnings(actor: Actor, row: Mailbox | Alias) -> list[str]:
    if isinstance(row, Alias):
        return ui.app().queries.alias_warnings(actor, row.address, row.destinations)
    return ui.app().queries.mailbox_warnings(actor, row.address)


def explanation(row: Explained) -> str:
    """Of a row of a list: why it is not there yet, when it is tried again, and what is to be done."""
    at = row["next_attempt_at"]
    when = _("Next attempt {when}.", when=format.due(at).rstrip(".")) if at else ""
    what = problems.translated(row["advice"] or "") if row["remedy"] not in (None, Remedy.PUSH) else ""
    return " ".join(filter(None, [problems.reason(row), when, what]))
