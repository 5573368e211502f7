"""The list of mailboxes: its numbers, its filters, its table."""

from dataclasses import asdict
from functools import partial
from typing import Any

import streamlit as st

from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries import FULL_PERCENT, MailboxFilter, Page
from provision.queries.rows import MailboxRow
from provision.storage.models import Status, SyncStatus
from webui.kit import format, problems, ui
from webui.kit.i18n import _, counted, written

SIZE = 50


def cards(who: SignedIn) -> None:
    """How many there are, and how many need a look."""
    counts = ui.app().queries.counts(who.actor)
    present = counts.get("mailbox.ACTIVE", 0) + counts.get("mailbox.DISABLED", 0)
    numbers = {
        _("Mailboxes"): present,
        _("Pending"): counts.get("mailbox.PENDING", 0),
        _("Failed"): counts.get("mailbox.FAILED", 0),
        _("Over 90 % of quota"): counts["mailbox.over_90_percent"],
    }
    with st.grid(4, min_column_width=140):
        for title, value in numbers.items():
            st.metric(title, written(value), border=True, height="stretch")


def filters(who: SignedIn, listing: ui.Listing) -> tuple[MailboxFilter, str, bool]:
    """What the list is narrowed to, and its order; all of it in the URL."""
    with st.grid(6, min_column_width=125, gap="xsmall", vertical_alignment="bottom"):
        search = listing.search(_("Search"), _("address or name"))
        domain = listing.choice("domain", _("Domain"), ui.app().queries.domain_names(who.actor), words=readable)
        status = listing.choice("status", _("Status"), list(Status))
        sync = listing.choice("sync", _("Sync"), list(SyncStatus))
        full = listing.choice("full", _("Usage"), ["true"], words=lambda _value: _("Over 90 %"))
        sort, descending = listing.sort(_sorts(), "address")
    return MailboxFilter(search, domain, status, sync, FULL_PERCENT if full else None), sort, descending


def _sorts() -> dict[str, str]:
    return {
        "address": _("Address"),
        "display_name": _("Name"),
        "-used_percent": _("Fullest first"),
        "-used": _("Largest first"),
        "-quota": _("Largest quota first"),
        "-updated_at": _("Last changed first"),
        "-last_synced_at": _("Last synced first"),
    }


def export_link(where: MailboxFilter) -> None:
    ui.export_link("/export/mailboxes.csv", **asdict(where))


def table(listing: ui.Listing, page: Page[MailboxRow], *, many: bool) -> list[MailboxRow]:
    """The page of the list; returns the rows that are selected."""
    width = "medium" if any(len(states(row)) > 1 for row in page.rows) else "small"
    columns = (
        Column("address", N_("Address"), lambda row: readable(row["address"])),
        Column("name", N_("Name"), "display_name"),
        Column("state", N_("Status"), states, partial(_state_column, width=width)),
        Column("share", N_("Quota used"), _share, format.usage_column),
        Column("used", N_("Used / quota"), lambda row: format.quota(row["used_bytes"], row["quota_bytes"])),
        Column("last", N_("Last sync"), lambda row: format.ago(row["last_synced_at"])),
        Column("reason", N_("Problem"), problems.reason, "medium", optional=True),
    )
    return listing.table(page.rows, columns, alt=_("Mailboxes"), select="multi-row" if many else "single-row")


def _share(row: MailboxRow) -> float | None:
    return None if row["used_percent"] is None else min(row["used_percent"] / 100, 1.0)


def states(row: MailboxRow) -> list[str]:
    """How far it is, and whether it is disabled or deleted; of a deleted one that is not closed only that."""
    if row["login_open"]:
        return [format.label(Status.DELETED), format.label(format.LOGIN_OPEN)]
    found = [format.label(SyncStatus(row["sync_status"]))]
    return found if row["status"] == Status.ACTIVE else [*found, format.label(Status(row["status"]))]


def _state_column(title: str, width: Any) -> Any:
    colours: dict[Any, str] = {**format.SYNC_COLOURS, **format.STATUS_COLOURS}
    del colours[Status.ACTIVE]
    colours[format.LOGIN_OPEN] = "orange"
    return format.badges({format.label(value): colour for value, colour in colours.items()}, title, width)


def count(page: Page[MailboxRow]) -> str:
    if page.capped:
        return _("more than {n} mailboxes", n=page.total)
    return counted(page.total, "{n} mailbox", "{n} mailboxes")
