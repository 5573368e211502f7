"""Who did what, when, and what came of it; newest first."""

from datetime import timedelta
from urllib.parse import urlencode

import streamlit as st

from provision.audit.events import RESOURCES, Operation
from provision.core.access import Permission
from provision.core.address import readable
from provision.queries import LogFilter
from provision.storage.models import LogStatus, utc_now
from webui.http.base_path import url_for
from webui.kit import format, ui
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
    asked = {
        "operation": operation,
        "resource_type": resource,
        "status": status,
        "operator": where.operator,
        "search": search,
        "since": since.isoformat() if since else None,
    }
    query = urlencode({name: value for name, value in asked.items() if value})
    st.link_button(_("Export CSV"), url_for(f"/export/logs.csv?{query}"), icon=":material/download:")
    if who.may(Permission.AUDIT_VERIFY) and st.button(_("Verify audit chain"), icon=":material/verified_user:"):
        parts.verify_dialog()

if page.total:
    columns = {
        "at": format.time_column(_("Time")),
        "operator": _("Operator"),
        "operation": _("Operation"),
        "resource": st.column_config.TextColumn(_("Resource"), width=200),
        "status": format.log_column(_("Status")),
        "ms": st.column_config.NumberColumn(_("Duration"), format="%d ms"),
        "ip": _("Address (IP)"),
    }
    cells = [
        {
            "at": row["started_at"],
            "operator": row["operator"],
            "operation": row["operation"],
            "resource": readable(row["resource_name"] or ""),
            "status": [format.label(row["status"])],
            "ms": row["duration_ms"],
            "ip": row["ip"],
        }
        for row in page.rows
    ]
    chosen = listing.table(page, cells, columns, alt=_("Logs"), select="single-row", rows_shown=12)
    listing.pages(page, counted(page.total, "{n} operation", "{n} operations"))
    if chosen:
        parts.detail(chosen[0])
    else:
        st.caption(_("Choose a row to see its command and output."))
else:
    ui.empty(_("No operation matches. Widen the filters."), ":material/search_off:")
