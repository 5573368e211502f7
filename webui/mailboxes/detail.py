"""One mailbox in full: how far it is, its quota, its aliases, its log. `?mb_open=<uid>` opens it."""

from collections.abc import Callable
from uuid import UUID

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries import LogFilter
from provision.storage.models import Mailbox, Status, SyncStatus
from webui.kit import format, problems, ui
from webui.kit.i18n import _, written
from webui.kit.listing import show
from webui.kit.outcome import outcome

OPEN = "mb_open"
LOG_ROWS = 20
ALIAS_COLUMNS = (
    Column("address", N_("Address"), lambda row: readable(row["address"])),
    Column("to", N_("Destinations"), lambda row: list(map(readable, row["destinations"])), st.column_config.ListColumn),
    Column("sync", N_("Sync"), format.sync_cell, format.sync_column),
)
LOG_COLUMNS = (
    Column("at", N_("Time"), "started_at", format.time_column),
    Column("operator", N_("Operator")),
    Column("operation", N_("Operation"), format.operation),
    Column("status", N_("Status"), format.log_cell, format.log_column),
    Column("error", N_("Problem"), lambda row: problems.translated(row["error"] or "")),
)


def open_from_url() -> None:
    """While the address names a mailbox, its dialog is open, unless a new password is shown: one at a time."""
    wanted = st.query_params.get(OPEN)
    if not wanted or ui.ONE_TIME in st.session_state:
        return
    try:
        detail_dialog(UUID(wanted))
    except ValueError:
        close()


def close() -> None:
    st.query_params.pop(OPEN, None)


@ui.dialog(
    N_("Mailbox"), Permission.MAILBOX_READ, width="large", icon=":material/mail:", dismissible=True, on_dismiss=close
)
def detail_dialog(opened: ui.Dialog, uid: UUID) -> None:
    _show(opened.who, ui.app().queries.mailbox(opened.who.actor, uid))


def _show(who: SignedIn, row: Mailbox) -> None:
    arrived, how_far = outcome(who.actor, row)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{ui.plain(readable(row.address))}** {ui.plain(row.display_name)}", width="content")
        if row.login_open:
            st.badge(format.label(format.LOGIN_OPEN), color="orange", help=ui.plain(how_far))
        else:
            format.sync_badge(row.sync_status, ui.plain(how_far))
        if row.status != Status.ACTIVE:
            st.badge(format.label(Status(row.status)), color=format.STATUS_COLOURS[Status(row.status)])
    if not arrived:
        notice: Callable[..., object] = st.error if row.sync_status == SyncStatus.FAILED else st.warning
        notice(ui.plain(how_far), icon=format.ICONS[SyncStatus(row.sync_status)])
    problems.warn(ui.app().queries.mailbox_warnings(who.actor, row.address))
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
    show(found, ALIAS_COLUMNS, alt=_("Aliases"))


def _log(who: SignedIn, row: Mailbox) -> None:
    where = LogFilter(resource_type="mailbox", resource_id=row.uid)
    found = ui.app().queries.logs(who.actor, where, size=LOG_ROWS).rows
    show(found, LOG_COLUMNS, alt=_("Log"))
    ui.link("logs", _("The whole log"), icon=":material/arrow_forward:", lg_q=row.address)
