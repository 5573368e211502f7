"""What became of a change: on the mail server, or why not yet and when it is tried again."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import streamlit as st

from provision.errors import NotFound
from provision.models import Mailbox, SyncStatus, utc_now
from provision.provisioner.bulk import BulkResult
from provision.secret import Secret
from provision.signin import SignedIn
from webui import show, ui
from webui.i18n import _


def done(who: SignedIn, text: str, row: Mailbox) -> None:
    """Close the dialog, and say what was done and how far it has come."""
    ui.done(f"{text} {sentence(who, row)}".strip())


def done_many(who: SignedIn, text: str, result: BulkResult, *, delivered: bool = True) -> None:
    """The same for several; what was left out, and why."""
    parts = [text]
    if delivered and result.done:
        parts.append(_all(who, result.done))
    if result.errors:
        first = result.errors[0]
        parts.append(
            _("{n} left out, e.g. {name}: {reason}", n=len(result.errors), name=first.name, reason=first.error.message)
        )
    ui.done(" ".join(part for part in parts if part))


def show_once(who: SignedIn, place: Any, text: str, row: Mailbox, secret: Secret) -> None:
    """The same, and a one-time password, in place of the dialog's form."""
    with place.container():
        st.success(ui.plain(f"{text} {sentence(who, row)}"), icon=":material/check:")
        ui.show_once(secret, row.address)


def sentence(who: SignedIn, row: Mailbox) -> str:
    """How far one mailbox has come, and why not further."""
    if row.removing:
        try:
            row = ui.app().queries.mailbox(who.actor, row.uid)
        except NotFound:
            return _("It is removed from the mail server.")
    if row.sync_status == SyncStatus.SYNCED:
        return _("It is on the mail server.")
    if row.sync_status == SyncStatus.FAILED:
        return _("The mail server refused it: {reason}", reason=row.error or "–")
    if row.error:
        return _(
            "The mail server refused it: {reason} Next attempt {when}.",
            reason=row.error,
            when=_when(row.next_attempt_at),
        )
    return why_waiting(_server(who, row.server_id))


def why_waiting(server: Mapping[str, Any]) -> str:
    """Why changes for this mail server are not there yet."""
    name = server["name"]
    if server["alarm"]:
        return _("It is kept, but {name} is halted: {reason}", name=name, reason=server["alarm"])
    if server["error"]:
        when = _when(server["next_attempt_at"])
        return _("It is kept and waits: {reason} Next attempt {when}.", reason=server["error"], when=when)
    if server["gathering_until"]:
        when = _when(server["gathering_until"])
        return _(
            "It is kept and goes out together with other changes, {when}: every write interrupts the mail server.",
            when=when,
        )
    return _("It is kept and goes out in a moment.")


def banner(who: SignedIn) -> None:
    """Mail servers with trouble, while something waits for them."""
    for server in ui.app().queries.health(who.actor):
        waiting = server["pending"] + server["failed"]
        if not waiting or not (server["error"] or server["alarm"]):
            continue
        if server["alarm"]:
            text = _("{name} is halted: {reason}", name=server["name"], reason=server["alarm"])
        else:
            text = _("{name} cannot be reached: {reason}", name=server["name"], reason=server["error"])
            text += " " + _("Next attempt {when}.", when=_when(server["next_attempt_at"]))
        text += " " + _("{n} changes are kept and go out by themselves.", n=f"{waiting:,}")
        st.warning(ui.plain(text), icon=":material/cloud_off:")


def reason_of(row: Mapping[str, Any], servers: Sequence[Mapping[str, Any]]) -> str:
    """For the list: why this row is not on the mail server."""
    if row["sync_status"] == SyncStatus.SYNCED:
        return ""
    if row["error"]:
        return str(row["error"])
    server = next((s for s in servers if s["id"] == row["server_id"]), None)
    return str((server and (server["alarm"] or server["error"])) or _("Waits for its turn"))


def _when(at: datetime | None) -> str:
    """A time to come; one that has passed is due."""
    return show.ago(max(at or utc_now(), utc_now() + timedelta(seconds=1)))


def _all(who: SignedIn, uids: Sequence[UUID]) -> str:
    """How far these mailboxes have come; the first that waits stands for the others."""
    late = []
    for uid in uids:
        with suppress(NotFound):  # removed on the server, as it was wanted
            row = ui.app().queries.mailbox(who.actor, uid)
            late += [row] if row.sync_status != SyncStatus.SYNCED else []
    if not late:
        return _("All of it is on the mail server.")
    some = "" if len(late) == len(uids) else _("{n} of them are not on the mail server yet.", n=len(late)) + " "
    return some + sentence(who, late[0])


def _server(who: SignedIn, server_id: int) -> Mapping[str, Any]:
    return next(s for s in ui.app().queries.health(who.actor) if s["id"] == server_id)
