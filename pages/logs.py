"""Who did what, when, and what came of it; newest first."""

from dataclasses import asdict
from datetime import timedelta

import streamlit as st

from provision.audit.events import RESOURCES, Operation
from provision.core.access import Permission
from provision.queries import LogFilter
from provision.storage.models import LogStatus, utc_now
from webui.kit import ui
from webui.kit.i18n import _, counted, word
from webui.logs import parts

who = ui.signed_in(Permission.LOG_READ)
read = ui.app().queries
listing = ui.Listing("lg")
heading = ui.title(_("Logs"))

find, narrow, kind, result, period, person = st.columns([4, 3, 2, 2, 2, 2], vertical_alignment="bottom")
with find:
    search = listing.search(_("Search"), _("address or name begins with"))
with narrow:
    operation = listing.choice("operation", _("Operation"), list(Operation), words=lambda one: word(one.words))
with kind:
    resource = listing.choice("resource", _("Resource"), RESOURCES, words=parts.resource_name)
with result:
    status = listing.choice("status", _("Status"), list(LogStatus))
with period:
    days = listing.choice("days", _("Period"), [1, 7, 30, 90], words=parts.period_name)
with person:
    operator = listing.text("operator", _("Operator"), _("user name"))

since = utc_now() - timedelta(days=days) if days else None
where = LogFilter(
    operation=operation,
    resource_type=resource,
    status=status,
    operator=operator.strip().lower() or None,
    search=search,
    since=since,
)
page = read.logs(who.actor, where, number=listing.number, size=listing.size)

with heading:
    ui.export_link("/export/logs.csv", **{**asdict(where), "since": since and since.isoformat()})
    if who.may(Permission.AUDIT_VERIFY) and st.button(_("Verify audit chain"), icon=":material/verified_user:"):
        parts.verify_dialog()

if page.total:
    chosen = listing.one_of(page.rows, parts.COLUMNS, alt=_("Logs"))
    listing.pages(page, counted(page.total, "{n} operation", "{n} operations"))
    if chosen:
        parts.detail(chosen)
    else:
        st.caption(_("Choose a row to see its command and output."))
else:
    ui.empty(_("No operation matches. Widen the filters."), ":material/search_off:")
