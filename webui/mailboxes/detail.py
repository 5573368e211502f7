"""One mailbox in full: how far it is, its quota, its aliases, its log. `?mb_open=<uid>` opens it."""

from collections.abc import Callable
from uuid import UUID

import pandas as pd
import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.identity.sign_in import SignedIn
from provision.queries import LogFilter
from provision.storage.models import LogStatus, Mailbox, Status, SyncStatus
from webui.kit import format, problems, ui
from webui.kit.i18n import _, written
from webui.kit.outcome import outcome

OPEN = "mb_open"
LOG_ROWS = 20


def open_from_url() -> None:
    """While the address names a mailbox, its dialog is open, unless a new password is shown: one at a time."""
    wanted = st.query_params.get(OPEN)
    if not wanted or ui.ONE_TIME in st.session_state:
        return
    try:
        dialog(UUID(wanted))
    except ValueError:
        close()


def close() -> None:
    st.query_params.pop(OPEN, None)


def dialog(uid: UUID) -> None:
    @st.dialog(_("Mailbox"), width="large", icon=":material/mail:", on_dismiss=close)
    def detail() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with ui.attempt():
            _show(who, ui.app().queries.mailbox(who.actor, uid))

    detail()


def _show(who: SignedIn, row: Mailbox) -> None:
    arrived, how_far = outcome(who.actor, row)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{ui.plain(readable(row.address))}** {ui.plain(row.display_name)}", width="content")
        if row.status != Status.DELETED or row.removing:
            format.sync_badge(row.sync_status, ui.plain(how_far))
        if row.status != Status.ACTIVE:
            st.badge(format.label(Status(row.status)), color=format.STATUS_COLOURS[Status(row.status)])
    if not arrived:
        notice: Callable[..., object] = st.error if row.sync_status == SyncStatus.FAILED else st.warning
        notice(ui.plain(how_far), icon=format.ICONS[SyncStatus(row.sync_status)])
    _usage(row)
    aliases, history = st.tabs([_("Aliases"), _("Log")])
    with aliases:
        _aliases(who, row)
    with history:
        _log(who, row)


def _usage(row: Mailbox) -> None:
    left, right = st.columns(2)
    with left:
        st.caption(_("Quota used"))
        st.progress(min((row.used_percent or 0) / 100, 1.0), text=format.quota(row.used_bytes, row.quota_bytes))
        limit = written(row.quota_messages) if row.quota_messages else _("no limit")
        st.caption(
            _(
                "Messages: {used} / {limit}",
                used="–" if row.used_messages is None else written(row.used_messages),
                limit=limit,
            )
        )
    with right:
        facts = {
            _("Last sync"): f"{format.ago(row.last_synced_at)} ({format.local(row.last_synced_at)})",
            _("Attempts"): str(row.attempts),
            _("Created"): format.local(row.created_at),
            _("Changed"): format.local(row.updated_at),
        }
        st.caption("  \n".join(f"{name}: {ui.plain(value)}" for name, value in facts.items()))


def _aliases(who: SignedIn, row: Mailbox) -> None:
    found = ui.app().queries.aliases_to(who.actor, [row.address])
    if not found:
        st.caption(_("No alias leads here."))
        return
    columns: format.Columns = {
        "address": _("Address"),
        "to": st.column_config.ListColumn(_("Destinations")),
        "sync": format.sync_column(_("Sync")),
    }
    cells = [
        {
            "address": readable(a["address"]),
            "to": list(map(readable, a["destinations"])),
            "sync": [format.label(SyncStatus(a["sync_status"]))],
        }
        for a in found
    ]
    st.dataframe(pd.DataFrame(cells, columns=list(columns)), column_config=columns, hide_index=True, alt=_("Aliases"))


def _log(who: SignedIn, row: Mailbox) -> None:
    where = LogFilter(resource_type="mailbox", resource_id=row.uid)
    found = ui.app().queries.logs(who.actor, where, size=LOG_ROWS).rows
    columns: format.Columns = {
        "at": format.time_column(_("Time")),
        "operator": _("Operator"),
        "operation": _("Operation"),
        "status": format.log_column(_("Status")),
        "error": _("Problem"),
    }
    cells = [
        {
            "at": r["started_at"],
            "operator": r["operator"],
            "operation": r["operation"],
            "status": [format.label(LogStatus(r["status"]))],
            "error": problems.translated(r["error"] or ""),
        }
        for r in found
    ]
    st.dataframe(pd.DataFrame(cells, columns=list(columns)), column_config=columns, hide_index=True, alt=_("Log"))
    ui.link("logs", _("The whole log"), icon=":material/arrow_forward:", lg_q=row.address)
