"""API tokens on the settings page: the list, and the dialogs to make and revoke one."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.texts import N_
from provision.services.tokens import SCOPES, in_days, state
from webui.http.base_path import url_for
from webui.kit import format, ui
from webui.kit.i18n import _, word

STATES = {N_("Active"): "green", N_("Expired"): "orange", N_("Revoked"): "gray"}
LIVES = N_({30: "30 days", 90: "90 days", 365: "A year", 0: "Until it is revoked"})
Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> Row | None:
    """The tokens; returns the one that is chosen."""
    columns = {
        "name": _("Name"),
        "scopes": _("Scopes"),
        "domains": _("Domains"),
        "state": st.column_config.MultiselectColumn(
            _("Status"), options=[word(s) for s in STATES], color=list(STATES.values())
        ),
        "last": format.time_column(_("Last used")),
        "until": format.time_column(_("Until")),
        "by": _("Made by"),
    }
    cells = [
        {
            "name": row["name"],
            "scopes": ", ".join(row["scopes"]),
            "state": [word(state(row))],
            "last": row["last_used_at"],
            "domains": _("all") if row["everywhere"] else ", ".join(map(readable, row["domains"])),
            "until": row["expires_at"],
            "by": row["created_by"],
        }
        for row in rows
    ]
    return ui.Listing("st_tokens").one_of(rows, cells, columns, alt=_("API tokens"))


def create_dialog(domains: Sequence[str]) -> None:
    once, form = ui.Once(), ui.dialog_key()

    @st.dialog(_("Make API token"))
    def create() -> None:
        who = ui.signed_in(Permission.TOKEN_WRITE)
        with st.form(f"new_token_{form}", border=False):
            given = _fields(domains)
            sent = ui.submit(_("Make"))
        if sent:
            with ui.attempt():
                row, token = once(lambda: ui.app().services.tokens.create(who.actor, given.pop("name"), **given))
                text = _("The token {name}:", name=f"**{ui.plain(row.name)}**")
                ui.show_once(ui.OneTime(_("API token"), text, token, ""))

    create()


def _fields(domains: Sequence[str]) -> dict[str, Any]:
    name = st.text_input(_("Name"), max_chars=70, help=_("The log will speak of token:NAME."))
    scopes = st.multiselect(
        _("Scopes"), [str(scope) for scope in SCOPES], help=_("Changing a thing includes reading it.")
    )
    chosen = st.multiselect(
        _("Domains"),
        list(domains),
        format_func=readable,
        placeholder=_("all"),
        help=_("It sees and changes these only."),
    )
    networks = st.text_input(
        _("Networks"), placeholder="10.0.0.0/8 192.0.2.7", help=_("Where calls may come from; empty: anywhere.")
    )
    days = st.selectbox(_("Lives"), list(LIVES), index=2, format_func=lambda days: word(LIVES[days]))
    return {
        "name": name or "",
        "scopes": scopes,
        "domains": chosen or None,
        "networks": (networks or "").replace(",", " ").split(),
        "expires_at": in_days(days),
    }


def revoke_dialog(row: Row) -> None:
    def revoke() -> str:
        who = ui.signed_in(Permission.TOKEN_WRITE)
        ui.app().services.tokens.revoke(who.actor, row["uid"])
        return _("The token {name} is revoked.", name=row["name"])

    text = _("The program that has {name} can call no more, at once.", name=f"**{ui.plain(row['name'])}**")
    ui.confirm(_("Revoke token"), text, _("Revoke"), revoke, permission=Permission.TOKEN_WRITE)


def part(adding: Any) -> None:
    """The whole section. `adding`: the place of the page's main button."""
    who = ui.signed_in(Permission.TOKEN_READ)
    rows = ui.app().services.tokens.tokens(who.actor)
    if adding.button(_("Make API token"), type="primary", icon=":material/add:"):
        create_dialog(ui.app().queries.domain_names(who.actor))
    bar = st.container(horizontal=True)
    token = table(rows) if rows else None
    if not rows:
        ui.empty(_("No token yet. Programs need one to call the API."), ":material/key:")
    living = token is not None and token["revoked_at"] is None
    if bar.button(_("Revoke"), icon=":material/block:", disabled=not living) and token:
        revoke_dialog(token)
    st.caption(_("The reference of the API is at {path}.", path=url_for("/api/provision/docs")))
