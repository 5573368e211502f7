"""Mailboxes, one at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import models, rows
from api.auth import MayReadMailboxes, MayWriteMailboxes, Product
from api.context import FoundMailbox, Number, Search, Size, Wait, after_delete, after_mailbox, etag, location
from api.idempotency import IdempotencyKey, OnceRoute
from provision.queries import MailboxFilter
from provision.services.mailboxes import Mailboxes
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox, Status, SyncStatus

T = TypeVar("T")

router = APIRouter(prefix="/provision/mailboxes", tags=["mailboxes"], route_class=OnceRoute)
Sort = Literal["email", "displayName", "storageQuota", "usedStorage", "usedPercent", "updatedAt", "lastSyncedAt"]
SORTS: dict[Sort, str] = {  # as MAILBOX_SORTS of the queries calls them
    "email": "address",
    "displayName": "display_name",
    "storageQuota": "quota",
    "usedStorage": "used",
    "usedPercent": "used_percent",
    "updatedAt": "updated_at",
    "lastSyncedAt": "last_synced_at",
}
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
    return rows.paged(page, [rows.mailbox(row) for row in page.rows], number)


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


@dataclass(frozen=True, slots=True)
class Change:
    """What every change of one mailbox is told: who asks, which mailbox, how long they wait for it."""

    product: Product
    actor: MayWriteMailboxes
    found: FoundMailbox
    response: Response
    wait: Wait = 0

    @property
    def write(self) -> Mailboxes:
        return self.product.services.mailboxes

    async def run(self, write: Callable[..., T], *given: Any, **fields: Any) -> T:
        found = self.found
        return await run_in_threadpool(write, self.actor, found.uid, *given, expected_version=found.expected, **fields)

    async def answer(self, write: Callable[..., Mailbox], **fields: Any) -> dict[str, Any]:
        return await self.after(await self.run(write, **fields))

    async def after(self, row: Mailbox, **more: Any) -> dict[str, Any]:
        return await after_mailbox(self.product, self.actor, row, self.wait, self.response, **more)


Changing = Annotated[Change, Depends()]


@router.patch("/{id}", response_model=models.Changed)
async def edit_mailbox(change: Changing, edit: models.MailboxEdit) -> Any:
    """Change the name and the quotas."""
    quota = rows.in_bytes(edit.storage_quota)
    return await change.answer(
        change.write.edit, display_name=edit.display_name, quota_bytes=quota, quota_messages=edit.message_quota
    )


@router.delete("/{id}", response_model=models.Deleted)
async def delete_mailbox(
    change: Changing,
    force: Annotated[bool, Query(description="Remove it from the mail server, too; its mail stays.")] = False,
    erase_mail: Annotated[bool, Query(alias="eraseMail", description="With force: its mail, too.")] = False,
    keep_login: Annotated[
        bool, Query(alias="keepLogin", description="Without force: leave the account as it is on the mail server.")
    ] = False,
) -> Any:
    """Close its login, which `restore` takes back; with `force` remove it on the mail server."""
    gone = await change.run(change.write.delete, force=force, erase_mail=erase_mail, keep_login=keep_login)
    read = lambda: change.product.queries.mailbox_row(change.actor, change.found.uid)  # noqa: E731
    return await after_delete(gone, read, change.wait)


@router.patch("/{id}/disable", response_model=models.Changed)
async def disable_mailbox(change: Changing) -> Any:
    """Nobody can log in any more; password, mail and delivery stay."""
    return await change.answer(change.write.disable)


@router.patch("/{id}/enable", response_model=models.Changed)
async def enable_mailbox(change: Changing) -> Any:
    """Let people log in again, with the same password."""
    return await change.answer(change.write.enable)


@router.post("/{id}/restore", response_model=models.Changed)
async def restore_mailbox(change: Changing, key: IdempotencyKey = None) -> Any:
    """Take a delete without force back: with the same password, enabled or disabled as it was."""
    return await change.answer(change.write.restore)


@router.post("/{id}/reset-password", response_model=models.PasswordReset)
async def reset_password(change: Changing, new: models.NewPassword | None = None, key: IdempotencyKey = None) -> Any:
    """Set a password, or have one made, which this answer shows and nothing later."""
    password = rows.secret(new.password) if new else None
    row, made = await change.run(change.write.reset_password, password)
    change.response.headers["Cache-Control"] = "no-store"
    return await change.after(row, one_time_password=made.reveal() if made else None)


@router.patch("/{id}/quota", response_model=models.Changed)
async def set_quota(change: Changing, quota: models.QuotaEdit) -> Any:
    """Set the quotas; 0 clears one."""
    quota_bytes = rows.in_bytes(quota.storage_quota)
    return await change.answer(change.write.edit, quota_bytes=quota_bytes, quota_messages=quota.message_quota)


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
