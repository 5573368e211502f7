"""What stands in a row of each list, by name: for tables, JSON and CSV."""

from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from provision.queries.explain import Remedy


class Explained(TypedDict):
    """Why it is not on the mail server yet: see `explain`. All None where there is nothing to explain."""

    reason_code: str | None
    reason: str | None
    next_attempt_at: datetime | None
    remedy: Remedy | None
    advice: str | None


class SyncedRow(Explained):
    """What mailboxes and aliases have in common."""

    id: int
    uid: UUID
    address: str
    sync_status: str
    error: str | None
    error_code: str | None
    attempts: int
    last_synced_at: datetime | None
    removing: bool
    created_at: datetime
    updated_at: datetime
    version: int
    server_id: int


class MailboxRow(SyncedRow):
    """`login_open`: of a soft-deleted one: its account was left as it is on the mail server."""

    domain: str
    display_name: str
    status: str
    login_open: bool
    quota_bytes: int
    quota_messages: int | None
    used_bytes: int | None
    used_messages: int | None
    used_percent: int | None
    used_at: datetime | None


class ExportedRow(MailboxRow):
    aliases: list[str]


class AliasRow(SyncedRow):
    """`mailbox`: the one it is listed under."""

    domain: str
    destinations: list[str]
    mailbox_id: int | None
    mailbox: str | None
    mailbox_uid: UUID | None


class UnsyncedRow(SyncedRow):
    """A mailbox or an alias that is not on its mail server yet."""

    resource: str
    server: str
    server_error: str | None
    alarm: str | None


class DomainRow(TypedDict):
    """`mailboxes`, and sums over them; `unlimited`: how many of them have no quota."""

    uid: UUID
    name: str
    description: str
    default_quota_bytes: int | None
    version: int
    server: str
    mailboxes: int
    quota_bytes: int
    used_bytes: int
    unlimited: int


class ServerRow(Explained):
    """A mail server as it is now; `pending` and `failed`: changes for it; `gathering_until`: they are collected."""

    id: int
    uid: UUID
    name: str
    kind: str
    accounts: int
    attempts: int
    last_read_at: datetime | None
    last_write_at: datetime | None
    error: str | None
    alarm: str | None
    live: dict[str, Any] | None
    erases_mail: bool
    disables: bool
    cost: str | None
    pending: int
    failed: int
    gathering_until: datetime | None


class OperatorRow(TypedDict):
    id: int
    uid: UUID
    username: str
    display_name: str
    email: str | None
    role: str
    enabled: bool
    must_change_password: bool
    locked_until: datetime | None
    last_login_at: datetime | None
    created_at: datetime
    version: int
    domains: list[str]


class LogRow(TypedDict):
    """A record as it is kept."""

    id: int
    uid: UUID
    operator_id: int | None
    operator: str
    ip: str | None
    operation: str
    resource_type: str
    resource_id: str | None
    resource_name: str | None
    domain: str | None
    server_id: int | None
    generation: int | None
    payload: dict[str, Any]
    status: str
    command: str | None
    exit_code: int | None
    stdout: str | None
    stderr: str | None
    error: str | None
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None


class DayRow(TypedDict):
    """Finished operations of one day (UTC) with one status."""

    day: Any  # a date, or its text: as the database tells days
    status: str
    operations: int


def columns(row: type[Any], table: type[Any]) -> tuple[str, ...]:
    """What of such a row stands in a table itself."""
    return tuple(name for name in row.__annotations__ if name in table.__table__.columns)
