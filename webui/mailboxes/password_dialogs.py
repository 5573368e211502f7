"""Dialogs about a mailbox's password: set a new one, try one on the mail server."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.errors import InvalidInput
from provision.core.secret import Secret
from provision.identity.sign_in import SignedIn
from webui.kit import ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _
from webui.mailboxes import delivery
from webui.mailboxes.edit_dialogs import same

Row = Mapping[str, Any]


def reset_dialog(row: Row) -> None:
    """Typed twice; or made here, shown this once, and never again."""
    once, key = ui.Once(), ui.dialog_key()

    @st.dialog(_("Reset password"), icon=":material/key:")
    def reset() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        ways = {"once": _("New password (shown once)"), "typed": _("Type a password")}
        st.markdown(f"**{ui.plain(readable(row['address']))}**")
        way = st.radio(
            _("How"),
            list(ways),
            format_func=ways.__getitem__,
            key=f"mb_reset_{key}",
            horizontal=True,
            label_visibility="collapsed",
        )
        if way == "once":
            _generated(who, row, once)
        else:
            _typed(who, row, key)

    reset()


def _generated(who: SignedIn, row: Row, once: ui.Once) -> None:
    st.write(_("A random password is made and shown once. The old password stops working."))
    if ui.buttons(_("Create new password")):
        with ui.attempt():
            made, secret = once(lambda: ui.app().services.mailboxes.reset_password(who.actor, row["uid"]))
            if secret:
                delivery.done_with_password(who, _("The password is changed."), made, secret)


def _typed(who: SignedIn, row: Row, key: str) -> None:
    with st.form(f"reset_password_{key}", border=False):
        typed = st.text_input(_("New password"), type="password", autocomplete="new-password", help=password_hint())
        again = st.text_input(_("New password again"), type="password", autocomplete="new-password")
        sent = ui.submit(_("Change password"))
    if sent:
        with ui.attempt():
            password = same(typed, again)
            if password is None:
                raise InvalidInput("Type a password.")
            made, _none = ui.app().services.mailboxes.reset_password(who.actor, row["uid"], password)
            delivery.done(who, _("The password of {address} is changed.", address=readable(made.address)), made)


def verify_dialog(row: Row) -> None:
    """Log in as a mail program would."""
    key = ui.dialog_key()

    @st.dialog(_("Check a password"), icon=":material/verified_user:")
    def verify() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.form(f"verify_password_{key}", border=False, clear_on_submit=True):
            st.write(
                _(
                    "The mail server is asked to let {address} in with this password.",
                    address=f"**{ui.plain(readable(row['address']))}**",
                )
            )
            typed = st.text_input(_("Password"), type="password", autocomplete="off")
            sent = ui.submit(_("Check"))
        if sent:
            with ui.attempt(), st.spinner(_("Asking the mail server …")):
                if not typed:
                    raise InvalidInput("Type a password.")
                if ui.app().services.mailboxes.verify_password(who.actor, row["uid"], Secret(typed)):
                    st.success(_("The mail server lets it in."), icon=":material/check_circle:")
                else:
                    st.error(_("The mail server refuses this password."), icon=":material/cancel:")
                    st.caption(_("A change that was just made may take a moment to come into effect: try again then."))

    verify()
