"""Domains: on which mail server, how many users, how much space."""

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from webui.domains import parts
from webui.kit import ui
from webui.kit.i18n import _, counted

who = ui.signed_in(Permission.DOMAIN_READ)
app = ui.app()
listing = ui.Listing("dm")
may_write = who.may(Permission.DOMAIN_WRITE)
rows = app.queries.domains(who.actor)
servers = [server.name for server in app.queries.servers(who.actor)]

with ui.title(_("Domains")):
    if may_write and st.button(_("Add domain"), type="primary", icon=":material/add:", disabled=not servers):
        parts.create_dialog(servers)

find, _rest = st.columns([4, 6], vertical_alignment="bottom")
with find:
    search = listing.search(_("Search"), _("name or description"))
page = parts.page_of(rows, search, listing.number, listing.size)

if page.total:
    bar = st.container(horizontal=True, vertical_alignment="center")
    row = parts.table(listing, page)
    listing.pages(page, counted(page.total, "{n} domain", "{n} domains"))
    with bar:
        if may_write:
            if st.button(_("Edit"), icon=":material/edit:", disabled=row is None) and row:
                parts.edit_dialog(row)
            if st.button(_("Delete"), icon=":material/delete:", disabled=row is None) and row:
                parts.delete_dialog(row, listing)
        if row:
            name = ui.plain(readable(row["name"]))
            ui.link("mailboxes", _("Mailboxes of {name}", name=name), icon=":material/mail:", mb_domain=row["name"])
            ui.link(
                "aliases", _("Aliases of {name}", name=name), icon=":material/alternate_email:", al_domain=row["name"]
            )
elif search:
    ui.empty(_("No domain matches."), ":material/search_off:")
elif not servers:
    ui.empty(_("No mail server yet. Add one in the settings; its domains come next."), ":material/dns:")
elif may_write:
    ui.empty(
        _("No domain yet. Add the first, or import what the mail server has on the sync page."), ":material/language:"
    )
else:
    ui.empty(_("No domain yet."), ":material/language:")
