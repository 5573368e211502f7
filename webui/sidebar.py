"""The foot of the sidebar: who is signed in, his language, his password, the way out."""

import streamlit as st

from provision.identity.sign_in import SignedIn
from webui.http import sessions
from webui.http.running import postroom
from webui.kit import format
from webui.kit.i18n import LANGUAGES, STATE, _, browser_language
from webui.kit.markup import plain


def choose_language(who: SignedIn | None) -> None:
    """Before anything is written: his own language, else the browser's."""
    own = who.language if who and who.language in LANGUAGES else browser_language()
    st.session_state.setdefault(STATE, own)


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


def language_switch(who: SignedIn | None) -> None:
    st.selectbox(
        "Language",
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        key=STATE,
        label_visibility="collapsed",
        persist_state="session",
        on_change=_keep,
        args=(who,),
    )


def _keep(who: SignedIn | None) -> None:
    if who:
        postroom().sign_in.set_language(who, st.session_state[STATE])


def change_password() -> None:
    from webui.kit import ui
    from webui.login import password_form

    key = ui.dialog_key()

    @st.dialog(_("Change your password"))
    def ask() -> None:
        password_form(ui.signed_in(), _("Old password"), key)

    ask()
