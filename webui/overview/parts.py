"""Parts of the overview: numbers with a way to the list behind each, servers, what needs attention, charts."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.queries import Page
from provision.queries.rows import DayRow, DomainRow, UnsyncedRow
from provision.storage.models import LogStatus, Server
from webui.kit import format, problems, ui
from webui.kit.i18n import _, counted, written
from webui.kit.listing import show

CHART_PIXELS = 210
CHART_COLOURS = ("#3B7DDD", "#D9605C")  # legible on both themes


def number(title: str, value: int, page: str, words: str, **filters: str | None) -> None:
    """One figure, and one click to what it counts."""
    with st.container(border=True, gap="xxsmall"):
        st.metric(title, written(value))
        ui.link(page, words, icon=":material/arrow_forward:", **filters)


def attention(unsynced: Page[UnsyncedRow]) -> None:
    """The first of what waits or failed, and the way to all of it."""
    if not unsynced.total:
        ui.empty(_("Everything has reached the mail servers."), ":material/check_circle:")
        return
    show(unsynced.rows, ATTENTION, alt=_("Needs attention"))
    words = counted(unsynced.total, "It is on the sync page", "All {n} on the sync page")
    ui.link("sync", words, icon=":material/arrow_forward:")


def mail_servers(servers: Sequence[Server]) -> None:
    for server in servers:
        server_row(server)
    if not servers:
        ui.empty(_("No mail server yet. Add one in the settings."), ":material/dns:")


def server_row(server: Server) -> None:
    """A mail server: whether it answers, since when, what is wrong."""
    with st.container(border=True, gap="xxsmall"):
        format.server_head(server.name, server.alarm, server.error, server.last_read_at, server.accounts, server.live)
        problem = server.alarm or server.error
        if problem:
            st.caption(ui.plain(problems.translated(problem)))


ATTENTION = (
    Column("address", N_("Address"), lambda row: readable(row["address"])),
    Column("status", N_("Sync"), format.sync_cell, format.sync_column),
    Column("reason", N_("Reason"), problems.reason, "large"),
)
DOMAINS = (
    Column("name", N_("Domain"), lambda row: readable(row["name"])),
    Column("mailboxes", N_("Mailboxes")),
    Column("quota", N_("Used / total quota"), lambda row: _quota(row)),
)
OPERATIONS = (
    Column("at", N_("Time"), lambda row: format.ago(row["started_at"])),
    Column("operator", N_("Operator")),
    Column("operation", N_("Operation"), format.operation),
    Column("name", N_("Resource"), lambda row: readable(row["resource_name"] or "")),
    Column("status", N_("Status"), format.log_cell, format.log_column),
)


def _quota(row: DomainRow) -> str:
    return format.quota(row["used_bytes"], row["quota_bytes"]) + (" +" if row["unlimited"] else "")


def operations_chart(rows: Sequence[DayRow]) -> None:
    """Finished operations by day, failed ones on top."""
    if not rows:
        ui.empty(_("Nothing was done yet."), ":material/history:")
        return
    names = {LogStatus.SUCCESS: _("Success"), LogStatus.FAILED: _("Failed")}
    frame = pd.DataFrame([(str(r["day"])[5:], names[LogStatus(r["status"])], r["operations"]) for r in rows])
    wide = frame.pivot_table(index=0, columns=1, values=2, fill_value=0).reindex(
        columns=list(names.values()), fill_value=0
    )
    st.bar_chart(
        wide,
        y=list(names.values()),
        color=[*CHART_COLOURS],
        height=CHART_PIXELS,
        x_label="",
        y_label="",
        alt=_("Operations per day"),
    )


def storage_chart(domains: Sequence[DomainRow]) -> None:
    """Used storage of the largest domains, in GB."""
    if not any(row["used_bytes"] for row in domains):
        ui.empty(_("The mail servers have not told yet what is used."), ":material/database:")
        return
    largest = sorted(domains, key=lambda row: row["used_bytes"], reverse=True)[:8]
    frame = pd.DataFrame(
        {"GB": [row["used_bytes"] / 2**30 for row in largest]}, index=[readable(row["name"]) for row in largest]
    )
    st.bar_chart(frame, horizontal=True, height=CHART_PIXELS, x_label="", y_label="GB", alt=_("Storage by domain"))
