"""Mailboxes, one at a time."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import models, rows
from api.auth import MayReadMailboxes, MayWriteMailboxes, Product
from api.context import FoundMailbox, Number, Search, Size, Wait, after_delete, after_mailbox, etag, location
from api.idempotency import IdempotencyKey, OnceRoute
from provision.queries import MailboxFilter
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Status, SyncStatus

router = APIRouter(prefix="/provision/mailboxes", tags=["mailboxes"], route_class=OnceRoute)
SORTS = {
    "email": "address",
    "displayName": "display_name",
    "storageQuota": "quota",
    "usedStorage": "used",
    "usedPercent": "used_percent",
    "updatedAt": "updated_at",
    "lastSyncedAt": "last_synced_at",
}
Sort = Literal["email", "displayName", "storageQuota", "usedStorage", "usedPercent", "updatedAt", "lastSyncedAt"]
Domain = Annotated[str | None, Query(max_length=255, pattern=models.PLAIN)]


@router.get("", response_model=models.Listing[models.Mailbox])
def list_mailboxes(
    product: Product,
    actor: MayReadMailboxes,
    search: Search = "",
    domain: Domain = None,
    status: Status | None = None,
    sync_status: Annotated[SyncStatus | None, Query(alias="syncStatus")] = None,
    sort: Sort = "email",
    descending: bool = False,
    number: Number = 1,
    size: Size = 50,
) -> Any:
    """A page of mailboxes; deleted ones with `status=DELETED` only."""
    where = MailboxFilter(search, domain, status, sync_status)
    page = product.queries.mailboxes(actor, where, sort=SORTS[sort], descending=descending, number=number, size=size)
    return rows.paged(page, [rows.mailbox(row) for row in page.rows])


@router.post("", status_code=201, response_model=models.Changed)
async def create_mailbox(
    product: Product,
    actor: MayWriteMailboxes,
    new: models.NewMailbox,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
    wait: Wait = 0,
) -> Any:
    """Make a mailbox. It is made even if the mail server is down: `syncStatus` tells how far it has come."""
    wanted = asked(new)
    made = await run_in_threadpool(product.services.mailboxes.create, actor, wanted, idempotency_key=key)
    response.headers["Location"] = location(request, made.uid)
    return await after_mailbox(product, actor, made, wait, response)


@router.get("/{id}", response_model=models.Mailbox)
def get_mailbox(found: FoundMailbox, response: Response) -> Any:
    response.headers["ETag"] = etag(found.row["version"])
    return rows.mailbox(found.row)


@router.patch("/{id}", response_model=models.Changed)
async def edit_mailbox(
    product: Product,
    actor: MayWriteMailboxes,
    found: FoundMailbox,
    edit: models.MailboxEdit,
    response: Response,
    wait: Wait = 0,
) -> Any:
    """Change the name and the quotas."""
    row = await run_in_threadpool(
        product.services.mailboxes.edit,
        actor,
        found.uid,
        display_name=edit.display_name,
        quota_bytes=rows.in_bytes(edit.storage_quota),
        quota_messages=edit.message_quota,
        expected_version=found.expected,
    )
    return await after_mailbox(product, actor, row, wait, response)


@router.delete("/{id}", response_model=models.Deleted)
async def delete_mailbox(
    product: Product,
    actor: MayWriteMailboxes,
    found: FoundMailbox,
    force: Annotated[bool, Query(description="Remove it from the mail server, too; its mail stays.")] = False,
    erase_mail: Annotated[bool, Query(alias="eraseMail", description="With force: its mail, too.")] = False,
    wait: Wait = 0,
) -> Any:
    """Mark as deleted, which `restore` takes back; with `force` remove it on the mail server."""
    gone = await run_in_threadpool(
        product.services.mailboxes.delete,
        actor,
        found.uid,
        force=force,
        erase_mail=erase_mail,
        expected_version=found.expected,
    )
    read = lambda: product.queries.mailbox_row(actor, found.uid)  # noqa: E731
    return await after_delete(gone, read, wait)


@router.patch("/{id}/disable", response_model=models.Changed)
async def disable_mailbox(
    product: Product, actor: MayWriteMailboxes, found: FoundMailbox, response: Response, wait: Wait = 0
) -> Any:
    """Nobody can log in any more; password, mail and delivery stay."""
    row = await run_in_threadpool(product.services.mailboxes.disable, actor, found.uid, expected_version=found.expected)
    return await after_mailbox(product, actor, row, wait, response)


@router.patch("/{id}/enable", response_model=models.Changed)
async def enable_mailbox(
    product: Product, actor: MayWriteMailboxes, found: FoundMailbox, response: Response, wait: Wait = 0
) -> Any:
    """Let people log in again, with the same password."""
    row = await run_in_threadpool(product.services.mailboxes.enable, actor, found.uid, expected_version=found.expected)
    return await after_mailbox(product, actor, row, wait, response)


@router.post("/{id}/restore", response_model=models.Changed)
async def restore_mailbox(
    product: Product,
    actor: MayWriteMailboxes,
    found: FoundMailbox,
    response: Response,
    key: IdempotencyKey = None,
    wait: Wait = 0,
) -> Any:
    """Take a delete without force back."""
    row = await run_in_threadpool(product.services.mailboxes.restore, actor, found.uid, expected_version=found.expected)
    return await after_mailbox(product, actor, row, wait, response)


@router.post("/{id}/reset-password", response_model=models.PasswordReset)
async def reset_password(
    product: Product,
    actor: MayWriteMailboxes,
    found: FoundMailbox,
    response: Response,
    new: models.NewPassword | None = None,
    key: IdempotencyKey = None,
    wait: Wait = 0,
) -> Any:
    """Set a password, or have one made, which this answer shows and nothing later."""
    password = rows.secret(new.password) if new else None
    row, made = await run_in_threadpool(
        product.services.mailboxes.reset_password, actor, found.uid, password, expected_version=found.expected
    )
    response.headers["Cache-Control"] = "no-store"
    shown = made.reveal() if made else None
    return await after_mailbox(product, actor, row, wait, response, one_time_password=shown)


@router.patch("/{id}/quota", response_model=models.Changed)
async def set_quota(
    product: Product,
    actor: MayWriteMailboxes,
    found: FoundMailbox,
    quota: models.QuotaEdit,
    response: Response,
    wait: Wait = 0,
) -> Any:
    """Set the quotas; 0 clears one."""
    row = await run_in_threadpool(
        product.services.mailboxes.edit,
        actor,
        found.uid,
        quota_bytes=rows.in_bytes(quota.storage_quota),
        quota_messages=quota.message_quota,
        expected_version=found.expected,
    )
    return await after_mailbox(product, actor, row, wait, response)


def asked(new: models.NewMailbox) -> NewMailbox:
    """As the services take it."""
    return NewMailbox(
        new.email,
        rows.secret(new.password),
        rows.secret(new.password_hash),
        new.display_name,
        rows.in_bytes(new.storage_quota),
        new.message_quota,
        new.enabled,
        tuple(new.aliases),
    )
