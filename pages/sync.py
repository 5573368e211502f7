"""Sync: what has not reached the mail servers, what differs, and what to do about it."""

import streamlit as st

from provision.core.access import Permission
from provision.storage.models import SyncStatus
from webui.kit import ui
from webui.kit.i18n import _, word
from webui.sync import compare, sync_status

who = ui.signed_in(Permission.SYNC_READ)
app = ui.app()
listing = ui.Listing("sy")
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
    compare.part(who, listing, servers)

for cost in dict.fromkeys(row["cost"] for row in servers if row["cost"]):
    st.caption(word(cost))
