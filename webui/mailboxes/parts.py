"""The list of mailboxes: its numbers, its filters, its table."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from provision.core.address import readable
from provision.identity.sign_in import SignedIn
from provision.queries import FULL_PERCENT, MailboxFilter, Page
from provision.storage.models import Status, SyncStatus
from webui.http.base_path import url_for
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
    asked = {
        "search": where.search,
        "domain": where.domain,
        "status": where.status,
        "sync_status": where.sync_status,
        "used_percent_from": where.used_percent_from,
    }
    query = urlencode({name: value for name, value in asked.items() if value})
    st.link_button(_("Export CSV"), url_for(f"/export/mailboxes.csv?{query}"), icon=":material/download:")


def table(listing: ui.Listing, page: Page, *, many: bool) -> list[Mapping[str, Any]]:
    """The page of the list; returns the rows that are selected."""
    cells = [_cells(row) for row in page.rows]
    columns = {
        "address": _("Address"),
        "name": _("Name"),
        "state": _state_column("medium" if any(len(cell["state"]) > 1 for cell in cells) else "small"),
        "share": format.usage_column(_("Quota used")),
        "used": _("Used / quota"),
        "last": _("Last sync"),
        "reason": st.column_config.TextColumn(_("Problem"), width="medium"),
    }
    if not any(cell["reason"] for cell in cells):
        del columns["reason"]
    return listing.table(page, cells, columns, alt=_("Mailboxes"), select="multi-row" if many else "single-row")


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    share = row["used_percent"]
    return {
        "address": readable(row["address"]),
        "name": row["display_name"],
        "state": states(row),
        "share": None if share is None else min(share / 100, 1.0),
        "used": format.quota(row["used_bytes"], row["quota_bytes"]),
        "last": format.ago(row["last_synced_at"]),
        "reason": problems.reason(row),
    }


def states(row: Mapping[str, Any]) -> list[str]:
    """How far it is, and whether it is disabled or deleted."""
    if row["status"] == Status.DELETED and not row["removing"]:
        return [format.label(Status.DELETED)]
    found = [format.label(SyncStatus(row["sync_status"]))]
    return found if row["status"] == Status.ACTIVE else [*found, format.label(Status(row["status"]))]


def _state_column(width: Any) -> Any:
    colours: dict[Any, str] = {**format.SYNC_COLOURS, **format.STATUS_COLOURS}
    del colours[Status.ACTIVE]
    options = [format.label(value) for value in colours]
    return st.column_config.MultiselectColumn(_("Status"), options=options, color=list(colours.values()), width=width)


def count(page: Page) -> str:
    if page.capped:
        return _("more than {n} mailboxes", n=page.total)
    return counted(page.total, "{n} mailbox", "{n} mailboxes")
