"""Aliases: addresses whose mail goes elsewhere, by the mailbox they belong to."""

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.state import Resource
from provision.storage.models import SyncStatus
from webui.aliases import csv_import, parts
from webui.kit import ui
from webui.kit.i18n import _, counted

who = ui.signed_in(Permission.ALIAS_READ)
app = ui.app()
listing = ui.Listing("al")
may_write = who.may(Permission.ALIAS_WRITE)

heading = ui.title(_("Aliases"))
find, where, state = st.columns([4, 3, 3], vertical_alignment="bottom")
with find:
    search = listing.search(_("Search"), _("alias or destination"))
with where:
    domain = listing.choice("domain", _("Domain"), app.queries.domain_names(who.actor), words=readable)
with state:
    sync = listing.choice("sync", _("Status"), list(SyncStatus))
page = app.queries.aliases(
    who.actor, search=search, domain=domain, sync_status=sync, number=listing.number, size=listing.size
)

with heading:
    csv_import.buttons(search, domain, may_write=may_write)

if page.total:
    bar = st.container(horizontal=True, vertical_alignment="center")
    chosen = parts.table(listing, page, selectable=may_write)
    listing.pages(page, counted(page.total, "{n} alias", "{n} aliases"))
    one = chosen[0] if len(chosen) == 1 else None
    if may_write:
        if bar.button(_("Edit"), icon=":material/edit:", disabled=one is None) and one:
            parts.edit_dialog(one)
        if bar.button(_("Owner"), icon=":material/person:", disabled=one is None) and one:
            parts.assign_dialog(one)
        if bar.button(_("Retry"), icon=":material/refresh:", disabled=not chosen):
            with ui.attempt():
                app.services.sync.retry_many(who.actor, [(Resource.ALIAS, row["uid"]) for row in chosen])
                listing.clear_selection()
                ui.done(_("Tried again."))
        if bar.button(_("Delete"), icon=":material/delete:", disabled=not chosen):
            parts.delete_dialog(chosen, listing)
        if len(chosen) > 1:
            bar.caption(counted(len(chosen), "{n} selected", "{n} selected"))
elif search or domain or sync:
    ui.empty(_("No alias matches. Widen the filters."), ":material/search_off:")
elif may_write:
    ui.empty(
        _("No alias yet. An alias gives a mailbox a second address, or a group one address."),
        ":material/alternate_email:",
    )
else:
    ui.empty(_("No alias yet."), ":material/alternate_email:")
