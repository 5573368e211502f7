"""What can be done with the selected mailboxes: the bar above the table."""

from collections.abc import Sequence

import streamlit as st

from provision.core.address import readable
from provision.core.state import Resource
from provision.identity.sign_in import SignedIn
from provision.queries.rows import MailboxRow
from provision.services.bulk import BulkResult
from provision.storage.models import Mailbox, Status, SyncStatus
from webui.kit import format, ui
from webui.kit.i18n import _, counted
from webui.kit.outcome import explanation
from webui.mailboxes import delete_dialogs, delivery, detail, edit_dialogs, password_dialogs


def bar(who: SignedIn, rows: Sequence[MailboxRow], listing: ui.Listing, *, may: bool, deleted: bool) -> None:
    """`deleted`: the list shows what is soft-deleted."""
    one = rows[0] if len(rows) == 1 else None
    if st.button(_("Details"), icon=":material/open_in_full:", disabled=one is None) and one:
        st.query_params[detail.OPEN] = str(one["uid"])
    if may and deleted:
        _deleted_bar(who, rows, listing)
    elif may:
        _living_bar(who, rows, one, listing)
    if one and one["sync_status"] != SyncStatus.SYNCED:
        format.sync_badge(one["sync_status"], ui.plain(explanation(one)))
    if rows:
        st.caption(counted(len(rows), "{n} selected", "{n} selected"), width="content")


def _deleted_bar(who: SignedIn, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    if st.button(_("Restore"), icon=":material/restore_from_trash:", disabled=not rows):
        with ui.attempt():
            result = ui.app().services.bulk.restore(who.actor, [row["uid"] for row in rows])
            listing.clear_selection()
            said = counted(len(result.done), "{n} mailbox is restored.", "{n} mailboxes are restored.")
            delivery.done_many(who, said, result)
    still_open = [row["uid"] for row in rows if row["login_open"]]
    if st.button(_("Close login"), icon=":material/lock:", disabled=not still_open):
        with ui.attempt():
            result = ui.app().services.bulk.delete(who.actor, still_open)
            listing.clear_selection()
            said = counted(len(result.done), "{n} login is closed.", "{n} logins are closed.")
            delivery.done_many(who, said, result)
    _retry_button(who, rows, listing)
    if st.button(_("Delete for good"), icon=":material/delete_forever:", disabled=not rows):
        delete_dialogs.delete_dialog(rows, listing)


def _living_bar(who: SignedIn, rows: Sequence[MailboxRow], one: MailboxRow | None, listing: ui.Listing) -> None:
    if st.button(_("Edit"), icon=":material/edit:", disabled=one is None) and one:
        edit_dialogs.edit_dialog(one)
    if st.button(_("Reset password"), icon=":material/key:", disabled=one is None) and one:
        password_dialogs.reset_dialog(one)
    _switch(who, rows, listing)
    _retry_button(who, rows, listing)
    if st.button(_("Delete"), icon=":material/delete:", disabled=not rows):
        delete_dialogs.delete_dialog(rows, listing)
    more = {"quota": _("Set quota"), "verify": _("Check a password")}
    chosen = st.menu_button(_("More"), list(more), format_func=more.__getitem__, disabled=not rows, key="mb_more")
    if chosen == "quota" and rows:
        edit_dialogs.quota_dialog(rows, listing)
    if chosen == "verify" and one:
        password_dialogs.verify_dialog(one)
    elif chosen == "verify":
        st.toast(_("Select one mailbox for this."), icon=":material/info:")


def _switch(who: SignedIn, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    """Disable; or enable, where all that are selected are disabled."""
    enable = bool(rows) and all(row["status"] == Status.DISABLED for row in rows)
    text, icon = (_("Enable"), ":material/check:") if enable else (_("Disable"), ":material/block:")
    if st.button(text, icon=icon, disabled=not rows, key="mb_switch"):
        with ui.attempt():
            write, uids = ui.app().services, [row["uid"] for row in rows]
            result = write.bulk.enable(who.actor, uids) if enable else write.bulk.disable(who.actor, uids)
            listing.clear_selection()
            changed = len(result.done)
            said = (
                counted(changed, "{n} mailbox is enabled.", "{n} mailboxes are enabled.")
                if enable
                else counted(changed, "{n} mailbox is disabled.", "{n} mailboxes are disabled.")
            )
            delivery.done_many(who, said, result)


def _retry_button(who: SignedIn, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    unsynced = [row for row in rows if row["sync_status"] != SyncStatus.SYNCED]
    if st.button(_("Retry"), icon=":material/refresh:", disabled=not unsynced):
        with ui.attempt():
            retry(who, unsynced, listing)


def retry(who: SignedIn, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    ui.app().services.sync.retry_many(who.actor, [(Resource.MAILBOX, row["uid"]) for row in rows])
    listing.clear_selection()
    if len(rows) == 1:
        fresh: Mailbox = ui.app().queries.mailbox(who.actor, rows[0]["uid"])
        delivery.done(who, _("{address} was tried again.", address=readable(fresh.address)), fresh)
    said = counted(len(rows), "{n} mailbox was tried again.", "{n} mailboxes were tried again.")
    delivery.done_many(who, said, BulkResult([row["uid"] for row in rows]))
