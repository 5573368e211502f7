"""Parts of the overview: numbers with a way to the list behind each, servers, what needs attention, charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from provision.core.address import readable
from provision.storage.models import LogStatus, Server
from webui.kit import format, problems, ui
from webui.kit.i18n import _, written

CHART_PIXELS = 210
CHART_COLOURS = ("#3B7DDD", "#D9605C")  # legible on both themes


def number(title: str, value: int, page: str, words: str, **filters: str | None) -> None:
    """One figure, and one click to what it counts."""
    with st.container(border=True, gap="xxsmall"):
        st.metric(title, written(value))
        ui.link(page, words, icon=":material/arrow_forward:", **filters)


def server_row(server: Server) -> None:
    """A mail server: whether it answers, since when, what is wrong."""
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{ui.plain(server.name)}**", width="content")
            format.server_badge(server.alarm, server.error, server.last_read_at)
        if server.last_read_at:
            st.caption(format.last_read(server.last_read_at, server.accounts))
        format.live_report(server.live)
        problem = server.alarm or server.error
        if problem:
            st.caption(ui.plain(problems.translated(problem)))


def attention(rows: Sequence[Mapping[str, Any]]) -> None:
    """What failed and why, and what waits."""
    cells = [
        {
            "address": readable(row["address"]),
            "status": [format.label(row["sync_status"])],
            "reason": problems.reason(row),
        }
        for row in rows
    ]
    columns: format.Columns = {
        "address": _("Address"),
        "status": format.sync_column(_("Sync")),
        "reason": st.column_config.TextColumn(_("Reason"), width="large"),
    }
    st.dataframe(
        pd.DataFrame(cells, columns=list(columns)), column_config=columns, hide_index=True, alt=_("Needs attention")
    )


def operations_chart(rows: Sequence[Mapping[str, Any]]) -> None:
    """Finished operations by day, failed ones on top."""
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


def storage_chart(domains: Sequence[Mapping[str, Any]]) -> None:
    """Used storage of the largest domains, in GB."""
    largest = sorted(domains, key=lambda row: row["used_bytes"], reverse=True)[:8]
    frame = pd.DataFrame(
        {"GB": [row["used_bytes"] / 2**30 for row in largest]}, index=[readable(row["name"]) for row in largest]
    )
    st.bar_chart(frame, horizontal=True, height=CHART_PIXELS, x_label="", y_label="GB", alt=_("Storage by domain"))


def domain_table(domains: Sequence[Mapping[str, Any]]) -> None:
    cells = [
        {
            "name": readable(row["name"]),
            "mailboxes": row["mailboxes"],
            "quota": format.quota(row["used_bytes"], row["quota_bytes"]) + (" +" if row["unlimited"] else ""),
        }
        for row in domains
    ]
    columns = {"name": _("Domain"), "mailboxes": _("Mailboxes"), "quota": _("Used / total quota")}
    st.dataframe(pd.DataFrame(cells, columns=list(columns)), column_config=columns, hide_index=True, alt=_("Domains"))


def operation_table(rows: Sequence[Mapping[str, Any]]) -> None:
    cells = [
        {
            "at": format.ago(row["started_at"]),
            "operator": row["operator"],
            "operation": row["operation"],
            "name": readable(row["resource_name"] or ""),
            "status": [format.label(row["status"])],
        }
        for row in rows
    ]
    columns: format.Columns = {
        "at": _("Time"),
        "operator": _("Operator"),
        "operation": _("Operation"),
        "name": _("Resource"),
        "status": format.log_column(_("Status")),
    }
    st.dataframe(
        pd.DataFrame(cells, columns=list(columns)), column_config=columns, hide_index=True, alt=_("Recent operations")
    )
