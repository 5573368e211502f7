"""What became of a change: on the mail server, or why not yet and when it is tried again."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from provision.core.address import readable
from provision.core.errors import NotFound
from provision.core.secret import Secret
from provision.core.state import Resource
from provision.identity.sign_in import SignedIn
from provision.services.bulk import BulkResult
from provision.storage.models import Mailbox, SyncStatus
from webui.kit import format, problems, ui
from webui.kit.i18n import _, counted


def done(who: SignedIn, text: str, row: Mailbox) -> None:
    """Close the dialog, and say what was done and how far it has come."""
    arrived, how_far = outcome(who, row)
    if arrived:
        ui.done(f"{text} {how_far}")
    ui.done(text, how_far)


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
        _arrived, why = outcome(who, unsynced[0])
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
    ui.show_once(ui.OneTime(_("New password"), whose, secret, f"{text} {outcome(who, row)[1]}"))


def outcome(who: SignedIn, row: Mailbox) -> tuple[bool, str]:
    """Whether what is wanted of one mailbox is done on the mail server; and how far it is, and why not further."""
    if row.removing:
        try:
            row = ui.app().queries.mailbox(who.actor, row.uid)
        except NotFound:
            return True, _("It is removed from the mail server.")
    if row.sync_status == SyncStatus.SYNCED:
        return True, _("It is on the mail server.")
    return False, _why_not(who, row)


def _why_not(who: SignedIn, row: Mailbox) -> str:
    if row.sync_status == SyncStatus.FAILED:
        return _("The mail server refused it: {reason}", reason=problems.of_row(row.error_code, row.error) or "–")
    if row.error:
        return _(
            "The mail server refused it: {reason} Next attempt {when}.",
            reason=problems.of_row(row.error_code, row.error),
            when=format.due(row.next_attempt_at),
        )
    return why_unsynced(_server(who, row.server_id))


def why_unsynced(server: Mapping[str, Any]) -> str:
    """Why changes for this mail server are not there yet."""
    name = server["name"]
    if server["alarm"]:
        return _("It is kept, but {name} is halted: {reason}", name=name, reason=problems.translated(server["alarm"]))
    if server["error"]:
        when = format.due(server["next_attempt_at"])
        return _(
            "It is kept and waits: {reason} Next attempt {when}.", reason=problems.of_server(server["error"]), when=when
        )
    if server["gathering_until"]:
        when = format.due(server["gathering_until"])
        return _(
            "It is kept and goes out together with other changes, {when}: every write interrupts the mail server.",
            when=when,
        )
    return _("It is kept and goes out in a moment.")


def banner(servers: Sequence[Mapping[str, Any]]) -> None:
    """Mail servers with trouble, while something waits for them."""
    for server in servers:
        unsynced = server["pending"] + server["failed"]
        if not unsynced or not (server["error"] or server["alarm"]):
            continue
        if server["alarm"]:
            text = _("{name} is halted: {reason}", name=server["name"], reason=problems.translated(server["alarm"]))
        else:
            text = _(
                "{name} cannot be reached: {reason}", name=server["name"], reason=problems.translated(server["error"])
            )
            text += " " + _("Next attempt {when}.", when=format.due(server["next_attempt_at"]))
        text += " " + counted(
            unsynced, "{n} change is kept and goes out by itself.", "{n} changes are kept and go out by themselves."
        )
        st.warning(ui.plain(text), icon=":material/cloud_off:")


def reason_of(row: Mapping[str, Any], servers: Sequence[Mapping[str, Any]]) -> str:
    """For the list: why this row is not on the mail server."""
    if row["sync_status"] == SyncStatus.SYNCED:
        return ""
    if row["error"]:
        return problems.of_row(row.get("error_code"), row["error"])
    server = next((s for s in servers if s["id"] == row["server_id"]), None)
    why = server and (problems.translated(server["alarm"] or "") or problems.of_server(server["error"]))
    return str(why or _("Waits for its turn"))


def _server(who: SignedIn, server_id: int) -> Mapping[str, Any]:
    return next(s for s in ui.app().queries.health(who.actor) if s["id"] == server_id)
