"""The state of everything at a glance, with one click to the list behind each number."""

import streamlit as st

from provision.core.access import Permission
from provision.storage.models import Status, SyncStatus
from webui.kit import ui
from webui.kit.i18n import _, counted
from webui.kit.listing import show
from webui.overview import parts

who = ui.signed_in(Permission.SYNC_READ)
read = ui.app().queries
counts = read.counts(who.actor)
domains = read.domains(who.actor)
present = counts.get("mailbox.ACTIVE", 0) + counts.get("mailbox.DISABLED", 0)

with ui.title(_("Overview")):
    if who.may(Permission.MAILBOX_WRITE) and st.button(_("Create mailbox"), type="primary", icon=":material/add:"):
        st.switch_page(ui.PAGES / "mailboxes.py", query_params={"mb_new": "1"})

with st.grid(5, min_column_width=140):
    parts.number(_("Mailboxes"), present, "mailboxes", _("Show all"))
    pending = counts.get("mailbox.PENDING", 0) + counts.get("alias.PENDING", 0)
    parts.number(_("Pending"), pending, "sync", _("What waits"), sy_status=SyncStatus.PENDING)
    failed = counts.get("mailbox.FAILED", 0) + counts.get("alias.FAILED", 0)
    parts.number(_("Failed"), failed, "sync", _("What failed"), sy_status=SyncStatus.FAILED)
    over = counts["mailbox.over_90_percent"]
    parts.number(_("Over 90 % of quota"), over, "mailboxes", _("Which ones"), mb_full="true")
    disabled = counts.get("mailbox.DISABLED", 0)
    parts.number(_("Disabled"), disabled, "mailboxes", _("Which ones"), mb_status=Status.DISABLED)

left, right = st.columns([5, 3])
with left:
    st.subheader(_("Needs attention"), anchor=False)
    parts.attention(read.unsynced(who.actor, size=6))
with right:
    st.subheader(_("Mail servers"), anchor=False)
    parts.mail_servers(read.servers(who.actor))

left, right = st.columns([5, 3])
with left:
    st.subheader(_("Operations per day"), anchor=False)
    parts.operations_chart(read.operations_per_day(who.actor))
with right:
    st.subheader(_("Storage by domain"), anchor=False)
    parts.storage_chart(domains)

left, right = st.columns([5, 3])
with left:
    st.subheader(_("Recent operations"), anchor=False)
    show(read.logs(who.actor, size=8).rows, parts.OPERATIONS, alt=_("Recent operations"))
    ui.link("logs", _("The whole log"), icon=":material/arrow_forward:")
with right:
    st.subheader(_("Domains"), anchor=False)
    show(domains[:8], parts.DOMAINS, alt=_("Domains"))
    ui.link("domains", counted(len(domains), "The only domain", "All {n} domains"), icon=":material/arrow_forward:")
