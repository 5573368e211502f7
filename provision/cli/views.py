"""Rows and lists of them. In JSON by the same names everywhere, never a sealed password or an integer id."""

from collections.abc import Mapping, Sequence
from typing import Any

from provision.cli.output import pages, say_json, table
from provision.cli.session import Code
from provision.core import address as addresses
from provision.core.columns import Column
from provision.queries import Page
from provision.queries.lists import ALIAS_COLUMNS, MAILBOX_COLUMNS
from provision.queries.servers import OPERATOR_COLUMNS
from provision.storage.models import Alias, Domain, Mailbox, Operator, Server

HEALTH = ("accounts", "error", "alarm", "attempts", "next_attempt_at", "last_read_at", "last_write_at")
FIELDS: dict[type[Any], tuple[str, ...]] = {
    Mailbox: MAILBOX_COLUMNS,
    Alias: ALIAS_COLUMNS,
    Domain: ("uid", "name", "description", "default_quota_bytes", "version"),
    Server: ("uid", "name", "kind", "settings", "quiet_seconds", *HEALTH, "version"),
    Operator: OPERATOR_COLUMNS,
}
INSIDE = frozenset({"id", "server_id", "domain_id", "mailbox_id", "mailbox_uid", "operator_id"})


def view(row: Any) -> dict[str, Any]:
    """One row of a table."""
    shown = {name: getattr(row, name) for name in FIELDS[type(row)] if name not in INSIDE}
    if isinstance(row, Mailbox | Alias):
        shown["domain"] = addresses.domain_of(row.address)
    return shown


def without_ids(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a list."""
    return {name: value for name, value in row.items() if name not in INSIDE}


def listed(rows: Page[Any] | Sequence[Any], columns: Sequence[Column], empty: str, *, as_json: bool) -> Code:
    """A list or a page of one; `empty` where there is nothing."""
    page = rows if isinstance(rows, Page) else None
    found: Sequence[Any] = rows.rows if isinstance(rows, Page) else rows
    if as_json:
        shown = [without_ids(row) if isinstance(row, Mapping) else view(row) for row in found]
        say_json({"rows": shown, "total": page.total, "page": page.number, "pages": page.pages} if page else shown)
        return Code.DONE
    table(columns, found, empty)
    if page:
        pages(page)
    return Code.DONE
