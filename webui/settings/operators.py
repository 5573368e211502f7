"""Operators on the settings page: the list, and the dialogs to add, change and reset one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from provision.core.access import Actor, Permission, Role
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.queries.rows import OperatorRow
from provision.storage.models import utc_now
from webui.kit import format, ui
from webui.kit.i18n import _, counted, word

STATES: dict[str, format.Colour] = {
    N_("Active"): "green",
    N_("Locked"): "orange",
    N_("One-time password"): "blue",
    N_("Disabled"): "gray",
}
ROLES = [Role.SUPER_ADMIN, Role.DOMAIN_ADMIN, Role.VIEWER]


def state(row: OperatorRow) -> str:
    """One word, in English: see STATES."""
    if not row["enabled"]:
        return "Disabled"
    if row["locked_until"] and row["locked_until"] > utc_now():
        return "Locked"
    return "One-time password" if row["must_change_password"] else "Active"


def _domains(row: OperatorRow) -> str:
    nothing = _("none") if row["role"] == Role.DOMAIN_ADMIN else _("all")
    return ", ".join(map(readable, row["domains"])) or nothing


COLUMNS = (
    Column("username", N_("User name")),
    Column("name", N_("Name"), "display_name"),
    Column("role", N_("Role"), lambda row: format.label(row["role"])),
    Column("domains", N_("Domains"), _domains),
    Column("state", N_("Status"), lambda row: [word(state(row))], partial(format.states, STATES)),
    Column("last", N_("Last sign-in"), "last_login_at", format.time_column),
)


def part(adding: Any) -> None:
    """The whole section. `adding`: the place of the page's main buttons."""
    who, app = ui.signed_in(Permission.OPERATOR_READ), ui.app()
    people = app.queries.operators(who.actor)
    if adding.button(_("Add operator"), type="primary", icon=":material/person_add:"):
        create_dialog(app.queries.domain_names(who.actor))
    bar = st.container(horizontal=True)
    person = table(people)
    _actions(who.actor, bar, person)
    st.caption(counted(len(people), "{n} operator", "{n} operators"))


def _actions(actor: Actor, bar: Any, person: OperatorRow | None) -> None:
    write = ui.app().services.operators
    locked = bool(person and person["locked_until"] and person["locked_until"] > utc_now())
    nobody = person is None
    if bar.button(_("Edit"), icon=":material/edit:", disabled=nobody) and person:
        edit_dialog(person, ui.app().queries.domain_names(actor))
    if bar.button(_("Reset password"), icon=":material/key:", disabled=nobody) and person:
        reset_dialog(person)
    if bar.button(_("Unlock"), icon=":material/lock_open:", disabled=not locked) and person:
        with ui.attempt():
            write.unlock(actor, person["uid"])
            ui.done(_("{name} may try again.", name=person["username"]))
    if bar.button(_("End sessions"), icon=":material/logout:", disabled=nobody) and person:
        with ui.attempt():
            write.end_sessions(actor, person["uid"])
            ui.done(_("{name} is signed out everywhere.", name=person["username"]))
    turn = _("Enable") if person and not person["enabled"] else _("Disable")
    if bar.button(turn, icon=":material/block:", disabled=nobody) and person:
        with ui.attempt():
            write.edit(actor, person["uid"], enabled=not person["enabled"])
            state = _("Disabled") if person["enabled"] else _("Active")
            ui.done(f"{person['username']}: {state}")


def table(rows: Sequence[OperatorRow]) -> OperatorRow | None:
    """The operators; returns the one that is chosen."""
    return ui.Listing("st_operators").one_of(rows, COLUMNS, alt=_("Operators"))


@ui.dialog(N_("Add operator"), Permission.OPERATOR_WRITE)
def create_dialog(opened: ui.Dialog, domains: Sequence[str]) -> None:
    with opened.form():
        username = st.text_input(_("User name"), max_chars=80)
        given = _fields(None, domains)
        sent = opened.submit(_("Add"))
    if sent:
        role, add = given.pop("role"), ui.app().services.operators.create
        row, password = opened.once(lambda: add(opened.who.actor, username or "", role, **given))
        if password:
            ui.one_time_password(row.username, password)


@ui.dialog(lambda row, domains: _("Edit {name}", name=ui.plain(row["username"])), Permission.OPERATOR_WRITE)
def edit_dialog(opened: ui.Dialog, row: OperatorRow, domains: Sequence[str]) -> None:
    with opened.form():
        given = _fields(row, domains)
        sent = opened.submit(_("Save"))
    if sent:
        given["email"] = given["email"] or ""
        ui.app().services.operators.edit(opened.who.actor, row["uid"], expected_version=row["version"], **given)
        ui.done(_("Saved."))


def _fields(row: OperatorRow | None, domains: Sequence[str]) -> dict[str, Any]:
    role = Role(row["role"]) if row else Role.VIEWER
    found: dict[str, Any] = {
        "display_name": st.text_input(_("Name"), row["display_name"] if row else "", max_chars=200) or "",
        "role": st.selectbox(_("Role"), ROLES, index=ROLES.index(role), format_func=format.label),
        "domains": st.multiselect(
            _("Domains"),
            list(domains),
            row["domains"] if row else [],
            format_func=readable,
            placeholder=_("Choose domains"),
            help=_("What a domain admin works on. A viewer sees these only; empty: all."),
        ),
        "email": st.text_input(
            _("Own mailbox"), (row and row["email"]) or "", help=_("Nobody of a lower role can change it.")
        )
        or None,
    }
    return found


@ui.dialog(N_("Reset password"), Permission.OPERATOR_WRITE)
def reset_dialog(opened: ui.Dialog, row: OperatorRow) -> None:
    name = f"**{ui.plain(row['username'])}**"
    st.write(_("{name} gets a one-time password, and is signed out everywhere.", name=name))
    if opened.buttons(_("Make one-time password")):
        set_password = ui.app().services.operators.set_password
        _row, password = opened.once(lambda: set_password(opened.who.actor, row["uid"]))
        if password:
            ui.one_time_password(row["username"], password)
