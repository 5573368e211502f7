"""Rows as dicts for JSON: the same names everywhere, never a sealed password or an integer id."""

from collections.abc import Mapping
from typing import Any

from provision.core import address as addresses
from provision.storage.models import Alias, Domain, Mailbox, Operator, Server

COMMON = (
    "uid",
    "address",
    "sync_status",
    "error",
    "error_code",
    "attempts",
    "next_attempt_at",
    "last_synced_at",
    "removing",
    "created_at",
    "updated_at",
    "version",
)
FIELDS: dict[type[Any], tuple[str, ...]] = {
    Mailbox: (
        *COMMON,
        "display_name",
        "status",
        "quota_bytes",
        "quota_messages",
        "used_bytes",
        "used_messages",
        "used_percent",
    ),
    Alias: (*COMMON, "destinations"),
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
    shown = {name: getattr(row, name) for name in FIELDS[type(row)]}
    if isinstance(row, Mailbox | Alias):
        shown["domain"] = addresses.domain_of(row.address)
    return shown


def without_ids(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a list."""
    return {name: value for name, value in row.items() if name not in INSIDE}
