"""Sync: what has not reached the mail servers, what differs, and what to do about it."""

import streamlit as st

from provision.core.access import Permission
from provision.services.comparing import Found
from provision.services.resolving import Winner
from provision.storage.models import SyncStatus
from webui.kit import ui
from webui.kit.i18n import _, word
from webui.sync import compare, sync_status
from webui.sync.choices import choices

who = ui.signed_in(Permission.SYNC_READ)
app = ui.app()
listing = ui.Listing("sy")
may_push, may_pull = who.may(Permission.SYNC_PUSH), who.may(Permission.SYNC_PULL)
servers = app.queries.health(who.actor)

ui.title(_("Sync"))
if not servers:
    ui.empty(_("No mail server yet. Add one in the settings."), ":material/dns:")
    st.stop()
halted = [row for row in servers if row["alarm"]]
for row in halted:
    sync_status.alarm(row, may_force=who.may(Permission.SYNC_FORCE))
sync_status.health([row["uid"] for row in halted])

left, right = st.columns([4, 1], vertical_alignment="bottom")
with left:
    part = listing.part({"waiting": _("Waiting"), "compare": _("Compare")})

if part == "waiting":
    with right:
        status = listing.choice("status", _("Status"), [SyncStatus.FAILED, SyncStatus.PENDING])
    sync_status.unsynced(listing, status)

if part == "compare":
    which, find, act = st.columns([3, 3, 4], vertical_alignment="bottom")
    names = [row["name"] for row in servers]
    with which:
        name = st.selectbox(_("Mail server"), names, key="sy_server", bind="query-params", on_change=listing.first_page)
    server = next(row for row in servers if row["name"] == name) if name in names else servers[0]
    with find:
        search = listing.search(_("Search"), _("part of the address"))
    with act.container(horizontal=True):
        asked = st.button(_("Preview"), type="primary", icon=":material/compare_arrows:", key="sy_preview")
        if may_pull and st.button(_("Import …"), icon=":material/download:", key="sy_import"):
            compare.import_dialog(server)
    if asked:
        st.session_state.pop(compare.PULLED, None)
    if compare.wanted_again(server, search) or asked:
        compare.look(server, search)
    compare.import_result(server)
    found = compare.last_comparison(server, search)
    kind = compare.choose_kind(found) if found else None
    if found and kind:
        st.caption(compare.meaning(kind))
        bar = st.container(horizontal=True)
        offered = choices(kind) if may_push else []
        chosen = compare.table(listing, found, kind, selectable=bool(offered))
        for choice in offered:
            if bar.button(choice.name, icon=choice.icon, disabled=not chosen, key=f"sy_{kind}_{choice.winner}"):
                compare.decide(listing, server, kind, chosen, choice)
        if offered and kind in compare.VALUES:
            if bar.button(_("All: dashboard wins"), icon=":material/keyboard_double_arrow_right:"):
                compare.decide_all(listing, server, found, Winner.DASHBOARD)
            if bar.button(_("All: server wins"), icon=":material/keyboard_double_arrow_left:"):
                compare.decide_all(listing, server, found, Winner.SERVER)
        is_plan = kind in (Found.CREATE, Found.CHANGE, Found.DELETE)
        if may_push and is_plan and bar.button(_("Send all now"), icon=":material/send:"):
            compare.push_now(server)
    elif found:
        ui.empty(
            _("Both sides are the same. There is nothing to send.") if not search else _("Nothing matches."),
            ":material/check_circle:",
        )
    else:
        ui.empty(
            _("Preview reads the mail server and shows what a push would do, and where the two sides differ."),
            ":material/compare_arrows:",
        )

for cost in dict.fromkeys(row["cost"] for row in servers if row["cost"]):
    st.caption(word(cost))
