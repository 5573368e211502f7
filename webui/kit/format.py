"""How values look: sizes, times, status badges, columns of tables."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel.dates import format_timedelta
from streamlit.elements.lib.column_types import ColumnConfig

from provision.audit.events import Operation
from provision.core.access import Role
from provision.core.texts import N_
from provision.queries.rows import AliasRow, LogRow, MailboxRow, UnsyncedRow
from provision.storage.models import LogStatus, Status, SyncStatus, utc_now
from webui.kit.i18n import _, counted, language, word, written
from webui.kit.markup import plain
from webui.kit.problems import translated

Colour = Literal["green", "orange", "red", "gray", "blue"]

SERVER_STATES: dict[str, tuple[str, Colour]] = {
    N_("Reachable"): (":material/check_circle:", "green"),
    N_("Unreachable"): (":material/cloud_off:", "red"),
    N_("Halted"): (":material/warning:", "orange"),
    N_("Not read yet"): (":material/schedule:", "gray"),
}
UNITS = N_(("B", "KB", "MB", "GB", "TB", "PB"))
SYNC_COLOURS: dict[SyncStatus, Colour] = {
    SyncStatus.SYNCED: "green",
    SyncStatus.PENDING: "orange",
    SyncStatus.FAILED: "red",
}
LOGIN_OPEN = "login_open"  # of a deleted mailbox
STATUS_COLOURS: dict[Status, Colour] = {Status.ACTIVE: "green", Status.DISABLED: "gray", Status.DELETED: "red"}
LOG_COLOURS: dict[LogStatus, Colour] = {
    LogStatus.SUCCESS: "green",
    LogStatus.PENDING: "orange",
    LogStatus.FAILED: "red",
}
MOMENT = timedelta(seconds=45)
ICONS = {
    SyncStatus.SYNCED: ":material/check_circle:",
    SyncStatus.PENDING: ":material/schedule:",
    SyncStatus.FAILED: ":material/error:",
}


def server_state(alarm: str | None, error: str | None, last_read_at: datetime | None) -> str:
    """How a mail server is, in one English word: see SERVER_STATES."""
    if alarm:
        return "Halted"
    if error:
        return "Unreachable"
    return "Reachable" if last_read_at else "Not read yet"


def server_head(
    name: str,
    alarm: str | None,
    error: str | None,
    last_read_at: datetime | None,
    accounts: int,
    live: dict[str, Any] | None,
) -> None:
    """A mail server: its name, whether it answers, when it was read, what it says of itself."""
    state = server_state(alarm, error, last_read_at)
    icon, colour = SERVER_STATES[state]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{plain(name)}**", width="content")
        st.badge(word(state), icon=icon, color=colour)
    if last_read_at:
        since = ago(last_read_at)
        st.caption(counted(accounts, "Last read {ago} · {n} account", "Last read {ago} · {n} accounts", ago=since))
    _live_report(live)


def label(value: StrEnum | str) -> str:
    """The word for a state or role."""
    names: dict[str, str] = {
        SyncStatus.SYNCED: _("Synced"),
        SyncStatus.PENDING: _("Pending"),
        SyncStatus.FAILED: _("Failed"),
        Status.ACTIVE: _("Active"),
        Status.DISABLED: _("Disabled"),
        Status.DELETED: _("Deleted"),
        LOGIN_OPEN: _("Login open"),
        LogStatus.SUCCESS: _("Success"),
        Role.SUPER_ADMIN: _("Super admin"),
        Role.DOMAIN_ADMIN: _("Domain admin"),
        Role.VIEWER: _("Viewer"),
    }
    return names.get(value, str(value))


def size(amount: int | None) -> str:
    """Bytes as people read them, 1024 to the next unit: `1.5 GB`."""
    if amount is None:
        return "–"
    value, unit = float(amount), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    places = 0 if unit == 0 or value >= 100 else 1
    return f"{written(round(value, places), grouped=False)} {word(UNITS[unit])}"


def quota(used: int | None, limit: int) -> str:
    """`0.7 / 1 GB`; without a limit only what is used."""
    if not limit:
        return f"{size(used)} / {_('no limit')}" if used is not None else _("no limit")
    return f"{size(used)} / {size(limit)}"


def ago(at: datetime | None) -> str:
    """How long it is since then, or until then."""
    if at is None:
        return _("never")
    passed = at - utc_now()
    if abs(passed) < MOMENT:
        return _("in a moment") if passed > timedelta() else _("just now")
    return format_timedelta(passed, granularity="minute", add_direction=True, format="short", locale=language())


def due(at: datetime | None) -> str:
    """A time to come; one that has passed is due at once."""
    return ago(max(at or utc_now(), utc_now() + timedelta(seconds=1)))


def local(at: datetime | None) -> str:
    """A time in the reader's zone."""
    if at is None:
        return "–"
    return at.astimezone(zone()).strftime("%Y-%m-%d %H:%M:%S")


def zone() -> Any:
    """The reader's time zone; UTC where the browser does not say."""
    name = st.context.timezone
    try:
        return ZoneInfo(name if isinstance(name, str) and name else "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def sync_badge(status: str, error: str | None = None) -> None:
    """Icon, colour and word; the error on hover (P23)."""
    known = SyncStatus(status)
    st.badge(label(known), icon=ICONS[known], color=SYNC_COLOURS[known], help=error)


# ---- columns -------------------------------------------------------------------------------
# What draws a column of a list, by its title. A cell of badges is a list of words.


def badges(words: Mapping[str, str], title: str, width: Any = None) -> ColumnConfig:
    """Word, in the reader's language → its colour."""
    return st.column_config.MultiselectColumn(title, options=list(words), color=list(words.values()), width=width)


def states(colours: Mapping[str, Colour], title: str) -> ColumnConfig:
    """The same of words that are marked N_."""
    return badges({word(text): colour for text, colour in colours.items()}, title)


def sync_column(title: str) -> ColumnConfig:
    return _states(title, SYNC_COLOURS)


def log_column(title: str) -> ColumnConfig:
    return _states(title, LOG_COLOURS)


def _states(title: str, colours: Mapping[Any, Colour]) -> ColumnConfig:
    words: dict[str, str] = {label(value): colour for value, colour in colours.items()}
    return badges(words, title, max(75, 26 + 7 * max(map(len, words))))  # some languages have long words


def sync_cell(row: MailboxRow | AliasRow | UnsyncedRow) -> list[str]:
    return [label(row["sync_status"])]


def operation(row: LogRow) -> str:
    """In words; the name itself of one that a later release, or a former one, has recorded."""
    known = {str(one): one.words for one in Operation}
    return word(known[row["operation"]]) if row["operation"] in known else row["operation"]


def log_cell(row: LogRow) -> list[str]:
    return [label(row["status"])]


def usage_column(title: str) -> ColumnConfig:
    """A cell is the share used, 0 to 1, or None."""
    return st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1)


def time_column(title: str) -> ColumnConfig:
    """A cell is an aware time; it is shown in the reader's zone."""
    return st.column_config.DatetimeColumn(title, format="YYYY-MM-DD HH:mm", timezone=str(zone()))


def _live_report(report: dict[str, Any] | None) -> None:
    """What a running server last said of itself: version, since when all is in effect, queue, disk, problems."""
    if not report:
        return
    since = report["in_effect_since"]
    effect = _("in effect since {ago}", ago=ago(datetime.fromisoformat(since))) if since else _("not in effect yet")
    queue = _("{n} in the mail queue", n=report["queue_length"])
    free = _("{size} free on disk", size=size(report["disk_free_bytes"]))
    st.caption(" · ".join(filter(None, [plain(report["version"]), effect, queue, free])))
    for problem in report["problems"]:
        st.caption(f":material/warning: {plain(translated(problem))}")
