"""Operators on the settings page: the list, and the dialogs to add, change and reset one."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from provision.core.access import Permission, Role
from provision.core.address import readable
from provision.core.texts import N_
from provision.storage.models import utc_now
from webui.kit import format, ui
from webui.kit.i18n import _, word

STATES = {N_("Active"): "green", N_("Locked"): "orange", N_("One-time password"): "blue", N_("Disabled"): "gray"}
ROLES = [Role.SUPER_ADMIN, Role.DOMAIN_ADMIN, Role.VIEWER]


def state(row: Mapping[str, Any]) -> str:
    """One word, in English: see STATES."""
    if not row["enabled"]:
        return "Disabled"
    if row["locked_until"] and row["locked_until"] > utc_now():
        return "Locked"
    return "One-time password" if row["must_change_password"] else "Active"


def table(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The operators; returns the one that is chosen."""
    columns = {
        "username": _("User name"),
        "name": _("Name"),
        "role": _("Role"),
        "domains": _("Domains"),
        "state": st.column_config.MultiselectColumn(
            _("Status"), options=[word(s) for s in STATES], color=list(STATES.values())
        ),
        "last": format.time_column(_("Last sign-in")),
    }
    cells = [
        {
            "username": row["username"],
            "name": row["display_name"],
            "role": format.label(Role(row["role"])),
            "domains": ", ".join(map(readable, row["domains"]))
            or (_("none") if row["role"] == Role.DOMAIN_ADMIN else _("all")),
            "state": [word(state(row))],
            "last": row["last_login_at"],
        }
        for row in rows
    ]
    return ui.Listing("st_operators").one_of(rows, cells, columns, alt=_("Operators"))


def create_dialog(domains: Sequence[str]) -> None:
    once, form = ui.Once(), ui.dialog_key()

    @st.dialog(_("Add operator"))
    def create() -> None:
        who = ui.signed_in(Permission.OPERATOR_WRITE)
        with st.form(f"new_operator_{form}", border=False):
            username = st.text_input(_("User name"), max_chars=80)
            given = _fields({}, domains)
            sent = ui.submit(_("Add"))
        if sent:
            with ui.attempt():
                role = given.pop("role")
                add = ui.app().services.operators.create
                row, password = once(lambda: add(who.actor, username or "", role, **given))
                if password:
                    ui.one_time_password(row.username, password)

    create()


def edit_dialog(row: Mapping[str, Any], domains: Sequence[str]) -> None:
    form = ui.dialog_key()

    @st.dialog(_("Edit {name}", name=ui.plain(row["username"])))
    def edit() -> None:
        who = ui.signed_in(Permission.OPERATOR_WRITE)
        with st.form(f"edit_operator_{form}", border=False):
            given = _fields(row, domains)
            sent = ui.submit(_("Save"))
        if sent:
            with ui.attempt():
                given["email"] = given["email"] or ""
                ui.app().services.operators.edit(who.actor, row["uid"], expected_version=row["version"], **given)
                ui.done(_("Saved."))

    edit()


def _fields(row: Mapping[str, Any], domains: Sequence[str]) -> dict[str, Any]:
    role = Role(row.get("role", Role.VIEWER))
    found: dict[str, Any] = {
        "display_name": st.text_input(_("Name"), row.get("display_name", ""), max_chars=200) or "",
        "role": st.selectbox(_("Role"), ROLES, index=ROLES.index(role), format_func=format.label),
        "domains": st.multiselect(
            _("Domains"),
            list(domains),
            row.get("domains", []),
            format_func=readable,
            placeholder=_("Choose domains"),
            help=_("What a domain admin works on. A viewer sees these only; empty: all."),
        ),
        "email": st.text_input(
            _("Own mailbox"), row.get("email") or "", help=_("Nobody of a lower role can change it.")
        )
        or None,
    }
    return found


def reset_dialog(row: Mapping[str, Any]) -> None:
    once = ui.Once()

    @st.dialog(_("Reset password"))
    def reset() -> None:
        who = ui.signed_in(Permission.OPERATOR_WRITE)
        name = f"**{ui.plain(row['username'])}**"
        st.write(_("{name} gets a one-time password, and is signed out everywhere.", name=name))
        if ui.buttons(_("Make one-time password")):
            with ui.attempt():
                set_password = ui.app().services.operators.set_password
                _row, password = once(lambda: set_password(who.actor, row["uid"]))
                if password:
                    ui.one_time_password(row["username"], password)

    reset()
