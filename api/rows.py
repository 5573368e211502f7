"""Rows of lists as what goes over the wire, and back."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from api.models import MB, LogRecord
from provision.core.errors import ProvisionError
from provision.core.secret import Secret
from provision.queries import Page
from provision.queries.rows import AliasRow, LogRow, MailboxRow, SyncedRow
from provision.storage.models import SyncStatus


def in_mb(amount: int | None) -> int | float | None:
    if amount is None:
        return None
    return amount // MB if amount % MB == 0 else amount / MB


def in_bytes(quota_mb: float | None) -> int | None:
    return None if quota_mb is None else int(quota_mb * MB)


def secret(value: SecretStr | None) -> Secret | None:
    return Secret(value.get_secret_value()) if value else None


def paged(page: Page[Any], items: list[Any], number: int, **more: Any) -> dict[str, Any]:
    """`number`: of the page that was asked for. Past the end there is nothing, however far pages of people go."""
    return {
        "items": items if number == page.number else [],
        "total": page.total,
        "total_is_minimum": page.capped,
        "page": number,
        "page_size": page.size,
        "pages": page.pages,
        **more,
    }


def progress(row: SyncedRow | None) -> dict[str, Any]:
    """How far a row is, and why not further; None: its removal is done."""
    known: Mapping[str, Any] = row or {"sync_status": SyncStatus.SYNCED, "attempts": 0, "removing": False}
    same = {name: known.get(name) for name in ("sync_status", "attempts", "next_attempt_at", "removing")}
    why = {"sync_error": "reason", "sync_error_code": "reason_code", "sync_advice": "advice"}
    return {**same, **{shown: known.get(name) for shown, name in why.items()}}


def synced(row: SyncedRow) -> dict[str, Any]:
    return {**progress(row), **{name: row[name] for name in ("last_synced_at", "created_at", "updated_at")}}


def mailbox(row: MailboxRow) -> dict[str, Any]:
    return {
        **synced(row),
        "id": row["uid"],
        "email": row["address"],
        "domain": row["domain"],
        "display_name": row["display_name"],
        "status": row["status"],
        "login_open": row["login_open"],
        "storage_quota": in_mb(row["quota_bytes"]),
        "message_quota": row["quota_messages"],
        "used_storage": in_mb(row["used_bytes"]),
        "used_messages": row["used_messages"],
    }


def alias(row: AliasRow, refusal: Callable[[str], ProvisionError | None]) -> dict[str, Any]:
    """`refusal`: why an address is none of the caller's: of such a mailbox they learn nothing."""
    known = row["mailbox"] is not None and not refusal(row["mailbox"])
    return {
        **synced(row),
        "id": row["uid"],
        "alias_address": row["address"],
        "domain": row["domain"],
        "destinations": row["destinations"],
        "mailbox_id": row["mailbox_uid"] if known else None,
        "mailbox": row["mailbox"] if known else None,
    }


def log_record(row: LogRow) -> dict[str, Any]:
    names = [name for name in LogRecord.model_fields if name != "id"]
    return {"id": row["uid"], **{name: value for name, value in row.items() if name in names}}
