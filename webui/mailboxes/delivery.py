"""What became of a change: on the mail server, or why not yet and when it is tried again."""

from collections.abc import Sequence

import streamlit as st

from provision.core.address import readable
from provision.core.secret import Secret
from provision.core.state import Resource
from provision.identity.sign_in import SignedIn
from provision.queries.rows import ServerRow
from provision.services.bulk import BulkResult
from provision.storage.models import Mailbox
from webui.kit import problems, ui
from webui.kit.i18n import _, counted
from webui.kit.outcome import done as done
from webui.kit.outcome import explanation, outcome


def done_many(who: SignedIn, text: str, result: BulkResult, *, delivered: bool = True) -> None:
    """The same for several; what was left out, and why."""
    unsynced = ui.app().queries.unsynced_of(who.actor, Resource.MAILBOX, result.done) if delivered else []
    if delivered and result.done and not unsynced:
        there = counted(len(result.done), "The change is on the mail server.", "All changes are on the mail server.")
        text = f"{text} {there}"
    more = []
    if unsynced:
        some = counted(
            len(unsynced), "{n} of them is not on the mail server yet.", "{n} of them are not on the mail server yet."
        )
        _arrived, why = outcome(who.actor, unsynced[0])
        more.append(why if len(unsynced) == len(result.done) else f"{some} {why}")
    if result.errors:
        first = result.errors[0]
        reason = problems.sentence(first.error.code, first.error.message)
        more.append(
            counted(
                len(result.errors),
                "{n} left out, e.g. {name}: {reason}",
                "{n} left out, e.g. {name}: {reason}",
                name=readable(first.name),
                reason=reason,
            )
        )
    ui.done(text, " ".join(more))


def done_with_password(who: SignedIn, text: str, row: Mailbox, secret: Secret) -> None:
    """The same, and the mailbox's new password, shown once."""
    whose = _("The new password of {name}:", name=f"**{ui.plain(readable(row.address))}**")
    ui.show_once(ui.OneTime(_("New password"), whose, secret, f"{text} {outcome(who.actor, row)[1]}"))


def banner(servers: Sequence[ServerRow]) -> None:
    """Mail servers with trouble, while something waits for them."""
    for server in servers:
        if server["reason"] and (n := server["pending"]):
            kept = counted(
                n, "{n} change is kept and goes out by itself.", "{n} changes are kept and go out by themselves."
            )
            st.warning(ui.plain(f"{explanation(server)} {kept}"), icon=":material/cloud_off:")
