"""Rows as dicts for JSON: the same names everywhere, never a sealed password or an integer id."""

from collections.abc import Mapping
from typing import Any

from provision.core import address as addresses
from provision.queries.lists import ALIAS_COLUMNS, MAILBOX_COLUMNS
from provision.storage.models import Alias, Domain, Mailbox, Operator, Server

FIELDS: dict[type[Any], tuple[str, ...]] = {
    Mailbox: MAILBOX_COLUMNS,
    Alias: ALIAS_COLUMNS,
    Domain: ("uid", "name", "description", "default_quota_bytes", "version"),
    Server: (
        "uid",
        "name",
        "kind",
        "settings",
        "quiet_seconds",
        "accounts",
        "error",
        "alarm",
        "attempts",
        "next_attempt_at",
        "last_read_at",
        "last_write_at",
        "version",
    ),
    Operator: (
        "uid",
        "username",
        "display_name",
        "email",
        "role",
        "enabled",
        "must_change_password",
        "last_login_at",
        "version",
    ),
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
