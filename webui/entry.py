"""What every run begins with: the sign-in gate, the navigation of one's role, the sidebar."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value

from provision.core.access import Permission
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from webui import login, sidebar
from webui.http import sessions
from webui.kit import language, ui
from webui.kit.i18n import _, word

ICON = Path(__file__).parent / "static" / "icon.png"
# Section → (page, title, icon, the permission without which it does not exist).
SECTIONS: dict[str, list[tuple[str, str, str, Permission]]] = {
    "": [("overview", N_("Overview"), "dashboard", Permission.SYNC_READ)],
    N_("Directory"): [
        ("mailboxes", N_("Mailboxes"), "mail", Permission.MAILBOX_READ),
        ("aliases", N_("Aliases"), "alternate_email", Permission.ALIAS_READ),
        ("domains", N_("Domains"), "language", Permission.DOMAIN_READ),
    ],
    N_("Operations"): [
        ("sync", N_("Sync"), "sync", Permission.SYNC_READ),
        ("logs", N_("Logs"), "history", Permission.LOG_READ),
        ("settings", N_("Settings"), "settings", Permission.SERVER_WRITE),
    ],
}


def render() -> None:
    """One run of the dashboard."""
    # The thread may have run a dialog before, and Streamlit 1.67 would go on drawing there: with `runner.fastReruns`
    # each run has a thread of its own, and we have switched that off (docs/decisions/0014).
    context_dg_stack.set(get_default_dg_stack_value())
    # An entry of our own makes Streamlit show its menu, in which light, dark or the system's theme is chosen.
    st.set_page_config("Postroom", str(ICON), layout="wide", menu_items={"About": _("Mail administration")})
    with ui.attempt(), sessions.whole_run() as who:
        language.choose_language(who)
        if who is None:
            _everywhere(login.sign_in_page)
        elif who.must_change_password:
            _everywhere(lambda: login.new_password_page(who))
        else:
            _dashboard(who)


def _dashboard(who: SignedIn) -> None:
    st.logo(str(ICON), size="large")
    page = st.navigation({word(section) if section else "": _pages(who, section) for section in SECTIONS})
    sidebar.account(who)
    ui.show_flashes()
    ui.show_one_time()
    page.run()


def _pages(who: SignedIn, section: str) -> list[st.Page]:
    return [
        st.Page(
            ui.PAGES / f"{name}.py",
            title=word(title),
            icon=f":material/{icon}:",
            url_path=name,
            default=name == "overview",
        )
        for name, title, icon, permission in SECTIONS[section]
        if who.may(permission)
    ]


def _everywhere(show: Callable[[], None]) -> None:
    """The same page at each address, so that the address survives the sign-in; nothing else exists."""
    names = [name for pages in SECTIONS.values() for name, *_rest in pages]
    pages = [st.Page(show, title="Postroom", url_path=name, default=name == "overview") for name in names]
    ui.show_flashes()
    st.navigation(pages, position="hidden").run()
