"""Parts of the log page: words of its filters, one record in full, the check of the audit chain."""

import json

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.queries.rows import LogRow
from webui.kit import format, problems, ui
from webui.kit.i18n import _, counted, pgettext

COLUMNS = (
    Column("at", N_("Time"), "started_at", format.time_column),
    Column("operator", N_("Operator")),
    Column("operation", N_("Operation"), format.operation),
    Column("resource", N_("Resource"), lambda row: readable(row["resource_name"] or ""), 200),
    Column("status", N_("Status"), format.log_cell, format.log_column),
    Column("ms", N_("Duration"), "duration_ms", lambda title: st.column_config.NumberColumn(title, format="%d ms")),
    Column("ip", N_("Address (IP)")),
)


def resource_name(resource: str) -> str:
    names = {
        "mailbox": _("Mailbox"),
        "alias": _("Alias"),
        "domain": _("Domain"),
        "server": _("Mail server"),
        "operator": _("Operator"),
        "access": _("Denied access"),
        "import": pgettext("noun", "Import"),
        "token": _("API token"),
        "policy": _("Rules"),
        "key": _("Key"),
        "database": _("Database"),
        "log": _("Log"),
    }
    return names.get(resource, resource)


def period_name(days: int) -> str:
    return _("Last 24 hours") if days == 1 else _("Last {n} days", n=days)


def detail(row: LogRow) -> None:
    """One record: what was asked, what was run, what it said."""
    with st.container(border=True):
        left, right = st.columns([2, 3])
        with left:
            st.markdown(f"**{ui.plain(row['operation'])}** {ui.plain(readable(row['resource_name'] or ''))}")
            lines = [
                f"{_('Operator')}: {ui.plain(row['operator'])} ({ui.plain(row['ip'] or '–')})",
                f"{_('Started')}: {format.local(row['started_at'])}",
                f"{_('Completed')}: {format.local(row['completed_at'])}",
                f"{_('Exit code')}: {'–' if row['exit_code'] is None else row['exit_code']}",
                f"{_('Record')}: {row['uid']}",
            ]
            st.caption("  \n".join(lines))
        with right:
            if row["error"]:
                st.error(ui.plain(problems.translated(row["error"])), icon=":material/error:")
            st.code(json.dumps(row["payload"], indent=1, ensure_ascii=False), language=None, wrap_lines=True)
            for name in ("command", "stdout", "stderr"):
                if row[name]:
                    st.caption(name)
                    st.code(row[name], language=None, wrap_lines=True)


@ui.dialog(N_("Audit chain"), Permission.AUDIT_VERIFY, dismissible=True)
def verify_dialog(opened: ui.Dialog) -> None:
    """Walk the whole chain and say what it is."""
    actor = opened.who.actor
    with st.spinner(_("Walking the chain …")):
        report = ui.app().queries.verify_audit(actor)
        head = ui.app().queries.audit_head(actor)
    if report.intact:
        st.success(counted(report.links, "Intact: {n} link.", "Intact: {n} links."), icon=":material/verified_user:")
        st.caption(_("Keep this head outside: a later check against it notices a cut or rewritten end."))
        st.code(json.dumps(head, indent=1), language=None, wrap_lines=True)
    else:
        reason = ui.plain(problems.translated(report.reason or ""))
        st.error(_("Broken at link {n}: {reason}", n=report.broken_at, reason=reason), icon=":material/gpp_bad:")
