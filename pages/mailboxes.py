"""Mailboxes: find, look at, create, change, delete; in and out as CSV."""

import streamlit as st

from provision.core.access import Permission
from provision.storage.models import Status
from webui.kit import ui
from webui.kit.i18n import _
from webui.mailboxes import action_bar, csv_import, delivery, detail, edit_dialogs, parts

who = ui.signed_in(Permission.MAILBOX_READ)
app = ui.app()
listing = ui.Listing("mb", parts.SIZE)
may = who.may(Permission.MAILBOX_WRITE)

heading = ui.title(_("Mailboxes"))
delivery.banner(app.queries.health(who.actor))
parts.cards(who)
if may:
    csv_import.progress(who)
where, sort, descending = parts.filters(who, listing)
page = app.queries.mailboxes(
    who.actor, where, sort=sort, descending=descending, number=listing.number, size=listing.size
)

with heading:
    parts.export_link(where)
    if may and st.button(_("Import CSV"), icon=":material/upload:"):
        csv_import.import_dialog()
    asked = st.query_params.pop("mb_new", None) == "1"  # a link from the overview
    if may and (st.button(_("Create mailbox"), type="primary", icon=":material/add:") or asked):
        edit_dialogs.create_dialog(app.queries.domain_names(who.actor))

actions = st.container(horizontal=True, vertical_alignment="center")
if page.total:
    chosen = parts.table(listing, page, many=may)
    listing.pages(page, parts.count(page))
else:
    chosen = []
    ui.empty(_("No mailbox matches. Widen the filters, or create one."), ":material/search_off:")
with actions:
    action_bar.bar(who, chosen, listing, may=may, deleted=where.status == Status.DELETED)
detail.open_from_url()
