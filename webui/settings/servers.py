"""Mail servers on the settings page: the list, and the dialogs to add and change one."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from provision.core.access import Permission
from provision.servers.setting import KEPT, Setting
from provision.storage.models import Server
from webui.kit import format, problems, ui
from webui.kit.i18n import _, word

Kinds = Mapping[str, tuple[str, tuple[Setting, ...]]]


def table(rows: Sequence[Server], kinds: Kinds) -> Server | None:
    """The servers; returns the one that is chosen."""
    states = format.SERVER_STATES
    columns = {
        "name": _("Name"),
        "kind": _("Kind"),
        "state": st.column_config.MultiselectColumn(
            _("Status"), options=[word(s) for s in states], color=[colour for _icon, colour in states.values()]
        ),
        "read": format.time_column(_("Last read")),
        "accounts": _("Accounts"),
        "problem": _("Problem"),
    }
    cells = [
        {
            "name": row.name,
            "kind": word(kinds[row.kind][0]) if row.kind in kinds else row.kind,
            "state": [word(format.server_state(row.alarm, row.error, row.last_read_at))],
            "read": row.last_read_at,
            "accounts": row.accounts,
            "problem": problems.translated(row.alarm or row.error or ""),
        }
        for row in rows
    ]
    entries = [{"uid": row.uid, "server": row} for row in rows]
    chosen = ui.Listing("st_servers").one_of(entries, cells, columns, alt=_("Mail servers"))
    return chosen["server"] if chosen else None


def create_dialog(kinds: Kinds) -> None:
    key = uuid4().hex  # one per opened dialog: a double click makes one server
    form = ui.dialog_key()

    @st.dialog(_("Add mail server"))
    def create() -> None:
        who = ui.signed_in(Permission.SERVER_WRITE)
        kind = st.selectbox(
            _("Kind"), list(kinds), format_func=lambda name: word(kinds[name][0]), key=f"st_kind_{form}"
        )
        with st.form(f"new_server_{form}", border=False):
            name = st.text_input(_("Name"), placeholder=_("mail, headquarters …"), max_chars=80)
            settings = _fields(kinds[kind][1], {}, form)
            sent = ui.submit(_("Add"))
        if sent:
            with ui.attempt():
                ui.app().services.servers.create(who.actor, name or "", kind, settings, idempotency_key=key)
                ui.done(_("The mail server {name} is added. Test its connection now.", name=name))

    create()


def edit_dialog(server: Server, kinds: Kinds) -> None:
    form = ui.dialog_key()

    @st.dialog(_("Edit {name}", name=ui.plain(server.name)))
    def edit() -> None:
        who = ui.signed_in(Permission.SERVER_WRITE)
        with st.form(f"edit_server_{form}", border=False):
            settings = _fields(kinds[server.kind][1], server.settings, form)
            quiet = ui.emptyable_number(
                st,
                _("Quiet time in seconds (empty: automatic)"),
                0.0,
                3600.0,
                server.quiet_seconds,
                key=f"st_quiet_{form}",
                placeholder=_("automatic"),
            )
            st.caption(_("Changes within the quiet time go out together, which spares the mail server."))
            sent = ui.submit(_("Save"))
        if sent:
            with ui.attempt():
                ui.app().services.servers.edit(
                    who.actor,
                    server.uid,
                    settings=settings,
                    quiet_seconds=-1 if quiet is None else quiet,
                    expected_version=server.version,
                )
                ui.done(_("Saved."))

    edit()


def delete_dialog(server: Server) -> None:
    def delete() -> str:
        ui.app().services.servers.delete(ui.signed_in(Permission.SERVER_WRITE).actor, server.uid)
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
