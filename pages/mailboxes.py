"""Mailboxes: find, look at, create, change, delete; in and out as CSV."""

import streamlit as st

from provision.access import Permission
from provision.models import Status
from webui import delivery, mailbox_actions, mailbox_detail, mailbox_edit, mailbox_import, mailbox_list, ui
from webui.i18n import _

who = ui.signed_in(Permission.MAILBOX_READ)
app = ui.app()
mine = ui.Listing("mb", mailbox_list.SIZE)
may = who.may(Permission.MAILBOX_WRITE)

heading = ui.title(_("Mailboxes"))
servers = app.queries.health(who.actor)
delivery.banner(servers)
mailbox_list.cards(who)
if may:
    mailbox_import.progress(who)
where, sort, descending = mailbox_list.filters(who, mine)
page = app.queries.mailboxes(who.actor, where, sort=sort, descending=descending, number=mine.number, size=mine.size)

with heading:
    mailbox_list.export_link(where)
    if may and st.button(_("Import CSV"), icon=":material/upload:"):
        mailbox_import.import_dialog()
    asked = st.query_params.pop("mb_new", None) == "1"  # a link from the overview
    if may and (st.button(_("Create mailbox"), type="primary", icon=":material/add:") or asked):
        mailbox_edit.create_dialog(app.queries.domain_names(who.actor))

actions = st.container(horizontal=True, vertical_alignment="center")
if page.total:
    chosen = mailbox_list.table(mine, page, servers, many=may)
    mine.pages(page, mailbox_list.count(page))
else:
    chosen = []
    ui.empty(_("No mailbox matches. Widen the filters, or create one."), ":material/search_off:")
with actions:
    mailbox_actions.bar(who, chosen, mine, servers, may=may, deleted=where.status == Status.DELETED)
mailbox_detail.open_from_url()
