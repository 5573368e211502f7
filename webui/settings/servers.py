"""Mail servers on the settings page: the list, and the dialogs to add and change one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.servers.setting import KEPT, Setting
from provision.storage.models import Server
from webui.kit import format, problems, ui
from webui.kit.i18n import _, word

Kinds = Mapping[str, tuple[str, tuple[Setting, ...]]]


STATES = {state: colour for state, (_icon, colour) in format.SERVER_STATES.items()}


def part(adding: Any) -> None:
    """The whole section. `adding`: the place of the page's main buttons."""
    who, app = ui.signed_in(Permission.SERVER_WRITE), ui.app()
    rows = app.queries.servers(who.actor)
    kinds = app.queries.server_kinds(who.actor)
    if adding.button(_("Add mail server"), type="primary", icon=":material/add:"):
        create_dialog(kinds)
    bar = st.container(horizontal=True)
    server = table(rows, kinds) if rows else None
    if not rows:
        ui.empty(_("No mail server yet. Add the one whose mailboxes you want to keep here."), ":material/dns:")
    _actions(bar, server, kinds)


def _actions(bar: Any, server: Server | None, kinds: Kinds) -> None:
    if bar.button(_("Edit"), icon=":material/edit:", disabled=server is None) and server:
        edit_dialog(server, kinds)
    if bar.button(_("Test connection"), icon=":material/network_check:", disabled=server is None) and server:
        actor = ui.signed_in(Permission.SERVER_WRITE).actor
        with ui.attempt(), st.spinner(_("Asking {name} …", name=ui.plain(server.name))):
            found = ui.app().services.servers.check(actor, server.uid)
            for problem in found:
                st.error(ui.plain(problems.translated(problem)), icon=":material/error:")
            if not found:
                st.success(_("{name} answers, and its settings are right.", name=ui.plain(server.name)))
    if bar.button(_("Delete"), icon=":material/delete:", disabled=server is None) and server:
        delete_dialog(server)


def table(rows: Sequence[Server], kinds: Kinds) -> Server | None:
    """The servers; returns the one that is chosen."""
    columns = (
        Column("name", N_("Name")),
        Column("kind", N_("Kind"), lambda row: word(kinds[row.kind][0]) if row.kind in kinds else row.kind),
        Column("state", N_("Status"), _state, partial(format.states, STATES)),
        Column("read", N_("Last read"), "last_read_at", format.time_column),
        Column("accounts", N_("Accounts")),
        Column("problem", N_("Problem"), lambda row: problems.translated(row.alarm or row.error or "")),
    )
    return ui.Listing("st_servers").one_of(rows, columns, alt=_("Mail servers"))


def _state(row: Server) -> list[str]:
    return [word(format.server_state(row.alarm, row.error, row.last_read_at))]


@ui.dialog(N_("Add mail server"), Permission.SERVER_WRITE)
def create_dialog(opened: ui.Dialog, kinds: Kinds) -> None:
    kind = st.selectbox(
        _("Kind"), list(kinds), format_func=lambda name: word(kinds[name][0]), key=f"st_kind_{opened.key}"
    )
    with opened.form():
        name = st.text_input(_("Name"), placeholder=_("mail, headquarters …"), max_chars=80)
        settings = _fields(kinds[kind][1], {}, opened.key)
        sent = opened.submit(_("Add"))
    if sent:
        create = ui.app().services.servers.create
        create(opened.who.actor, name or "", kind, settings, idempotency_key=str(opened.uid))
        ui.done(_("The mail server {name} is added. Test its connection now.", name=name))


@ui.dialog(lambda server, kinds: _("Edit {name}", name=ui.plain(server.name)), Permission.SERVER_WRITE)
def edit_dialog(opened: ui.Dialog, server: Server, kinds: Kinds) -> None:
    with opened.form():
        settings = _fields(kinds[server.kind][1], server.settings, opened.key)
        quiet = ui.emptyable_number(
            st,
            _("Quiet time in seconds (empty: automatic)"),
            0.0,
            3600.0,
            server.quiet_seconds,
            key=f"st_quiet_{opened.key}",
            placeholder=_("automatic"),
        )
        st.caption(_("Changes within the quiet time go out together, which spares the mail server."))
        sent = opened.submit(_("Save"))
    if sent:
        ui.app().services.servers.edit(
            opened.who.actor,
            server.uid,
            settings=settings,
            quiet_seconds=-1 if quiet is None else quiet,
            expected_version=server.version,
        )
        ui.done(_("Saved."))


def delete_dialog(server: Server) -> None:
    def delete(who: SignedIn) -> str:
        ui.app().services.servers.delete(who.actor, server.uid)
        return _("{name} is deleted.", name=server.name)

    name = ui.plain(server.name)
    ui.confirm(
        _("Delete {name}", name=name),
        _(
            "{name} is forgotten here. Nothing changes on the mail server. It must have no domains here.",
            name=f"**{name}**",
        ),
        _("Delete"),
        delete,
        permission=Permission.SERVER_WRITE,
    )


def _fields(known: Sequence[Setting], values: Mapping[str, Any], form: str) -> dict[str, Any]:
    """One field per setting; those that are not required in a fold. An empty secret stays as it is."""
    found: dict[str, Any] = {}
    required = [setting for setting in known if setting.required]
    optional = [setting for setting in known if not setting.required]
    for setting in required:
        found[setting.name] = _field(setting, values, form)
    with st.expander(_("More settings"), expanded=any(setting.name in values for setting in optional)):
        for setting in optional:
            found[setting.name] = _field(setting, values, form)
    return {name: value for name, value in found.items() if value != ""}


def _field(setting: Setting, values: Mapping[str, Any], form: str) -> str:
    title = word(setting.label)
    stored = str(values.get(setting.name, setting.default))
    typed = st.text_input(
        title[:1].upper() + title[1:],
        "" if setting.secret else stored,
        type="password" if setting.secret else "default",
        placeholder=_("stored; empty: unchanged") if setting.secret and stored else None,
        autocomplete="off" if setting.secret else None,
        help=setting.name,
        key=f"server_setting_{form}_{setting.name}",
    )
    value = (typed or "").strip()
    return KEPT if setting.secret and stored and not value else value
