"""Dialogs that take a mailbox away: soft, which can be taken back, or for good."""

from collections.abc import Sequence

import streamlit as st

from provision.core.access import Actor, Permission
from provision.core.address import readable
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries.rows import MailboxRow
from provision.storage.models import Status
from webui.kit import ui
from webui.kit.i18n import _, counted
from webui.mailboxes import delivery
from webui.mailboxes.edit_dialogs import chosen_text

WORD = "DELETE"
NAMED = 12


@ui.dialog(N_("Delete mailbox"), Permission.MAILBOX_WRITE, icon=":material/delete:")
def delete_dialog(opened: ui.Dialog, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    """Asks which way; rows that are soft-deleted already can only go for good."""
    st.markdown(chosen_text(rows))
    ways = {"soft": _("Delete, can be restored"), "force": _("Delete for good")}
    way, key = "force", f"mb_way_{opened.key}"
    if not all(row["status"] == Status.DELETED for row in rows):
        way = st.radio(_("How"), list(ways), format_func=ways.__getitem__, key=key, label_visibility="collapsed")
    (_for_good if way == "force" else _soft)(opened, rows, listing)


def _soft(opened: ui.Dialog, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    actor = opened.who.actor
    st.caption(
        _(
            "Nobody can log in any more. Account, password and mail stay on the mail server, which goes on taking new "
            "mail; “Restore” opens the login again."
        )
    )
    cannot = {server["id"] for server in ui.app().queries.health(actor) if not server["disables"]}
    if any(row["server_id"] in cannot for row in rows):
        open_there = _("This kind of mail server cannot close a login: one can still log in.")
        st.warning(open_there, icon=":material/lock_open:")
    keep = st.checkbox(_("Keep the login open: on the mail server all stays as it is."), key=f"mb_keep_{opened.key}")
    if opened.buttons(_("Delete")):
        result = ui.app().services.bulk.delete(actor, [row["uid"] for row in rows], keep_login=keep)
        listing.clear_selection()
        text = counted(
            len(result.done),
            "{n} mailbox is deleted; the filter “Deleted” shows it.",
            "{n} mailboxes are deleted; the filter “Deleted” shows them.",
        )
        delivery.done_many(opened.who, text, result, delivered=len(result.done) > len(result.left_open))


def _for_good(opened: ui.Dialog, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    actor = opened.who.actor
    erases = {server["id"] for server in ui.app().queries.health(actor) if server["erases_mail"]}
    possible = all(row["server_id"] in erases for row in rows)
    st.warning(
        _(
            "The account is removed from the mail server. Its mail stays on disk: "
            "who gets this address later would see the old mail."
        ),
        icon=":material/warning:",
    )
    _tell(*opened.once(lambda: _touched(actor, rows), "touched"))
    erase = st.checkbox(
        _("Erase the mail, too. Nobody can bring it back."), disabled=not possible, key=f"mb_erase_{opened.key}"
    )
    if not possible:
        st.caption(_("The mail on this kind of mail server cannot be erased from here."))
    sure = opened.typed(WORD)
    if opened.buttons(_("Delete for good"), disabled=not sure) and sure:
        _delete(opened.who, rows, listing, erase and possible)


def _delete(who: SignedIn, rows: Sequence[MailboxRow], listing: ui.Listing, erase: bool) -> None:
    write = ui.app().services
    if len(rows) == 1:
        row = write.mailboxes.delete(who.actor, rows[0]["uid"], force=True, erase_mail=erase)
        listing.clear_selection()
        delivery.done(who, _("{address} is deleted for good.", address=readable(row.address)), row)
        return
    result = write.bulk.delete(who.actor, [row["uid"] for row in rows], force=True, erase_mail=erase)
    listing.clear_selection()
    text = counted(len(result.done), "{n} mailbox is deleted for good.", "{n} mailboxes are deleted for good.")
    delivery.done_many(who, text, result)


def _touched(actor: Actor, rows: Sequence[MailboxRow]) -> tuple[set[str], set[str]]:
    """The aliases on their mail servers that are left with no destination, and those that lose one of several."""
    gone = {(row["server_id"], row["address"]) for row in rows}
    removed, changed = set[str](), set[str]()
    for alias in ui.app().queries.aliases_to(actor, sorted({address for _server, address in gone})):
        targets = {(alias["server_id"], address) for address in alias["destinations"]}
        if targets & gone and not alias["removing"]:
            (changed if targets - gone else removed).add(alias["address"])
    return removed, changed


def _tell(removed: set[str], changed: set[str]) -> None:
    if removed:
        st.write(_("Aliases that go with it: {names}", names=_names(removed)))
    if changed:
        st.write(_("Aliases that lose this destination: {names}", names=_names(changed)))


def _names(addresses: set[str]) -> str:
    return ui.some((ui.plain(readable(address)) for address in sorted(addresses)), NAMED)
