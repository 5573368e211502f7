"""API tokens on the settings page: the list, and the dialogs to make and revoke one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.services.tokens import SCOPES, TokenRow, in_days, state
from webui.http.base_path import url_for
from webui.kit import format, ui
from webui.kit.i18n import _, word

STATES: dict[str, format.Colour] = {N_("Active"): "green", N_("Expired"): "orange", N_("Revoked"): "gray"}
LIVES = N_({30: "30 days", 90: "90 days", 365: "A year", 0: "Until it is revoked"})


def _domains(row: TokenRow) -> str:
    return _("all") if row["everywhere"] else ", ".join(map(readable, row["domains"]))


COLUMNS = (
    Column("name", N_("Name")),
    Column("scopes", N_("Scopes"), lambda row: ", ".join(row["scopes"])),
    Column(
        "domains",
        N_("Domains"),
        lambda row: _("all") if row["everywhere"] else ", ".join(map(readable, row["domains"])),
    ),
    Column("state", N_("Status"), lambda row: [word(state(row))], partial(format.states, STATES)),
    Column("last", N_("Last used"), "last_used_at", format.time_column),
    Column("until", N_("Until"), "expires_at", format.time_column),
    Column("by", N_("Made by"), "created_by"),
)


def table(rows: Sequence[TokenRow]) -> TokenRow | None:
    """The tokens; returns the one that is chosen."""
    return ui.Listing("st_tokens").one_of(rows, COLUMNS, alt=_("API tokens"))


@ui.dialog(N_("Make API token"), Permission.TOKEN_WRITE)
def create_dialog(opened: ui.Dialog, domains: Sequence[str]) -> None:
    with opened.form():
        given = _fields(domains)
        sent = opened.submit(_("Make"))
    if sent:
        row, token = opened.once(lambda: ui.app().services.tokens.create(opened.who.actor, given.pop("name"), **given))
        text = _("The token {name}:", name=f"**{ui.plain(row.name)}**")
        ui.show_once(ui.OneTime(_("API token"), text, token, ""))


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


def revoke_dialog(row: TokenRow) -> None:
    def revoke(who: SignedIn) -> str:
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
