"""The language of the screen: chosen in the sidebar and on the sign-in page."""

import streamlit as st

from provision.identity.sign_in import SignedIn
from webui.http.running import postroom
from webui.kit.i18n import LANGUAGES, STATE, browser_language


def choose_language(who: SignedIn | None) -> None:
    """Before anything is written: their own language, else the browser's."""
    own = who.language if who and who.language in LANGUAGES else browser_language()
    st.session_state.setdefault(STATE, own)


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
