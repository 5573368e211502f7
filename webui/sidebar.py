"""The foot of the sidebar: who is signed in, their language, their password, the way out."""

import streamlit as st

from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from webui.http import sessions
from webui.kit import format, ui
from webui.kit.i18n import _
from webui.kit.language import language_switch
from webui.kit.markup import plain
from webui.login import password_form


def account(who: SignedIn) -> None:
    with st.sidebar:
        st.space("small")
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(gap=None, width="content"):
                st.markdown(f"**{plain(who.display_name)}**")
                st.caption(format.label(who.actor.role))
            if st.button(_("Sign out"), type="tertiary", icon=":material/logout:", key="sign_out"):
                sessions.end(who)
                st.stop()
        language_switch(who)
        if st.button(_("Change password"), type="tertiary", icon=":material/key:", key="own_password_open"):
            change_password()


@ui.dialog(N_("Change your password"), None)
def change_password(opened: ui.Dialog) -> None:
    password_form(opened.who, _("Old password"), opened)
