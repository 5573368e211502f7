"""Mail servers, the people who sign in here, and the rules in force."""

import streamlit as st

from provision.core.access import Permission
from provision.storage.models import utc_now
from webui.kit import ui
from webui.kit.i18n import _, counted
from webui.kit.problems import translated
from webui.settings import operators, policy, servers, tokens

who = ui.signed_in(Permission.SERVER_WRITE)
app = ui.app()
with ui.title(_("Settings")):
    adding = st.container(horizontal=True, horizontal_alignment="right")

PARTS = {"servers": _("Mail servers"), "operators": _("Operators"), "tokens": _("API tokens"), "policy": _("Rules")}
part = ui.Listing("st").part(PARTS)

if part == "servers":
    rows = app.queries.servers(who.actor)
    kinds = app.queries.server_kinds(who.actor)
    if adding.button(_("Add mail server"), type="primary", icon=":material/add:"):
        servers.create_dialog(kinds)
    bar = st.container(horizontal=True)
    server = servers.table(rows, kinds) if rows else None
    if not rows:
        ui.empty(_("No mail server yet. Add the one whose mailboxes you want to keep here."), ":material/dns:")
    if bar.button(_("Edit"), icon=":material/edit:", disabled=server is None) and server:
        servers.edit_dialog(server, kinds)
    if bar.button(_("Test connection"), icon=":material/network_check:", disabled=server is None) and server:
        with ui.attempt(), st.spinner(_("Asking {name} …", name=ui.plain(server.name))):
            found = app.services.servers.check(who.actor, server.uid)
            for problem in found:
                st.error(ui.plain(translated(problem)), icon=":material/error:")
            if not found:
                st.success(_("{name} answers, and its settings are right.", name=ui.plain(server.name)))
    if bar.button(_("Delete"), icon=":material/delete:", disabled=server is None) and server:
        servers.delete_dialog(server)

if part == "operators":
    people = app.queries.operators(who.actor)
    if adding.button(_("Add operator"), type="primary", icon=":material/person_add:"):
        operators.create_dialog(app.queries.domain_names(who.actor))
    bar = st.container(horizontal=True)
    person = operators.table(people)
    locked = bool(person and person["locked_until"] and person["locked_until"] > utc_now())
    nobody = person is None
    if bar.button(_("Edit"), icon=":material/edit:", disabled=nobody) and person:
        operators.edit_dialog(person, app.queries.domain_names(who.actor))
    if bar.button(_("Reset password"), icon=":material/key:", disabled=nobody) and person:
        operators.reset_dialog(person)
    if bar.button(_("Unlock"), icon=":material/lock_open:", disabled=not locked) and person:
        with ui.attempt():
            app.services.operators.unlock(who.actor, person["uid"])
            ui.done(_("{name} may try again.", name=person["username"]))
    if bar.button(_("End sessions"), icon=":material/logout:", disabled=nobody) and person:
        with ui.attempt():
            app.services.operators.end_sessions(who.actor, person["uid"])
            ui.done(_("{name} is signed out everywhere.", name=person["username"]))
    turn = _("Enable") if person and not person["enabled"] else _("Disable")
    if bar.button(turn, icon=":material/block:", disabled=nobody) and person:
        with ui.attempt():
            app.services.operators.edit(who.actor, person["uid"], enabled=not person["enabled"])
            state = _("Disabled") if person["enabled"] else _("Active")
            ui.done(f"{person['username']}: {state}")
    st.caption(counted(len(people), "{n} operator", "{n} operators"))

if part == "tokens":
    tokens.part(adding)

if part == "policy":
    policy.part(adding)
