"""Dialogs about a mailbox's password: set a new one, try one on the mail server."""

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.errors import InvalidInput
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.queries.rows import MailboxRow
from webui.kit import ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _
from webui.mailboxes import delivery
from webui.mailboxes.edit_dialogs import same


@ui.dialog(N_("Reset password"), Permission.MAILBOX_WRITE, icon=":material/key:")
def reset_dialog(opened: ui.Dialog, row: MailboxRow) -> None:
    """Typed twice; or made here, shown this once, and never again."""
    ways = {"once": _("New password (shown once)"), "typed": _("Type a password")}
    st.markdown(f"**{ui.plain(readable(row['address']))}**")
    way = st.radio(
        _("How"),
        list(ways),
        format_func=ways.__getitem__,
        key=f"mb_reset_{opened.key}",
        horizontal=True,
        label_visibility="collapsed",
    )
    (_generated if way == "once" else _typed)(opened, row)


def _generated(opened: ui.Dialog, row: MailboxRow) -> None:
    st.write(_("A random password is made and shown once. The old password stops working."))
    if opened.buttons(_("Create new password")):
        who = opened.who
        made, secret = opened.once(lambda: ui.app().services.mailboxes.reset_password(who.actor, row["uid"]))
        if secret:
            delivery.done_with_password(who, _("The password is changed."), made, secret)


def _typed(opened: ui.Dialog, row: MailboxRow) -> None:
    with opened.form():
        typed = st.text_input(_("New password"), type="password", autocomplete="new-password", help=password_hint())
        again = st.text_input(_("New password again"), type="password", autocomplete="new-password")
        sent = opened.submit(_("Change password"))
    if sent:
        password = same(typed, again)
        if password is None:
            raise InvalidInput("Type a password.")
        made, _none = ui.app().services.mailboxes.reset_password(opened.who.actor, row["uid"], password)
        delivery.done(opened.who, _("The password of {address} is changed.", address=readable(made.address)), made)


@ui.dialog(N_("Check a password"), Permission.MAILBOX_WRITE, icon=":material/verified_user:")
def verify_dialog(opened: ui.Dialog, row: MailboxRow) -> None:
    """Log in as a mail program would."""
    address = f"**{ui.plain(readable(row['address']))}**"
    with opened.form(clear_on_submit=True):
        st.write(_("The mail server is asked to let {address} in with this password.", address=address))
        typed = st.text_input(_("Password"), type="password", autocomplete="off")
        sent = opened.submit(_("Check"))
    if sent:
        if not typed:
            raise InvalidInput("Type a password.")
        with st.spinner(_("Asking the mail server …")):
            right = ui.app().services.mailboxes.verify_password(opened.who.actor, row["uid"], Secret(typed))
        if right:
            st.success(_("The mail server lets it in."), icon=":material/check_circle:")
        else:
            st.error(_("The mail server refuses this password."), icon=":material/cancel:")
            st.caption(_("A change that was just made may take a moment to come into effect: try again then."))
