"""Many mailboxes in one call: one transaction, one push, and what became of each."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api import models, rows
from api.auth import MayWriteMailboxes, Product
from api.context import foreign_to
from api.errors import as_seen_by
from api.idempotency import IdempotencyKey, OnceRoute
from api.mailboxes import asked
from provision.app import Postroom
from provision.core.access import Actor
from provision.core.errors import NotFound, ProvisionError
from provision.services.bulk import BulkResult
from provision.services.new_mailbox import NewMailbox

router = APIRouter(prefix="/provision/mailboxes/bulk", tags=["mailboxes"], route_class=OnceRoute)


@router.post("", response_model=models.BulkAnswer)
def create_mailboxes(
    product: Product, actor: MayWriteMailboxes, new: models.SeveralNew, key: IdempotencyKey = None
) -> Any:
    """Make up to 1,000 mailboxes with their aliases; the good ones are made, the others refused one by one."""
    wanted, refusal = [asked(one) for one in new.mailboxes], foreign_to(product, actor)

    def foreign(one: NewMailbox) -> ProvisionError | None:
        return next(filter(None, map(refusal, (one.address, *one.aliases))), None)

    result = product.services.bulk.create(actor, wanted, dry_run=new.dry_run, idempotency_key=key, foreign=foreign)
    items = {e.index: _refused(e.index, e.name, as_seen_by(actor, e.error)) for e in result.errors}
    good = [index for index in range(len(wanted)) if index not in items]
    word, made = ("acceptable", [None] * len(good)) if new.dry_run else ("created", result.done)
    for index, uid in zip(good, made, strict=True):
        items[index] = _item(index, wanted[index].address, word, uid)
    return _answer([items[index] for index in sorted(items)])


@router.post("/disable", response_model=models.BulkAnswer)
def disable_mailboxes(
    product: Product, actor: MayWriteMailboxes, several: models.Several, key: IdempotencyKey = None
) -> Any:
    return _change(product, actor, several.ids, lambda ids: product.services.bulk.disable(actor, ids))


@router.post("/enable", response_model=models.BulkAnswer)
def enable_mailboxes(
    product: Product, actor: MayWriteMailboxes, several: models.Several, key: IdempotencyKey = None
) -> Any:
    return _change(product, actor, several.ids, lambda ids: product.services.bulk.enable(actor, ids))


@router.post("/quota", response_model=models.BulkAnswer)
def set_quotas(
    product: Product, actor: MayWriteMailboxes, several: models.SeveralQuotas, key: IdempotencyKey = None
) -> Any:
    quota = rows.in_bytes(several.storage_quota) or 0
    return _change(product, actor, several.ids, lambda ids: product.services.bulk.set_quota(actor, ids, quota))


@router.post("/delete", response_model=models.BulkAnswer)
def delete_mailboxes(
    product: Product, actor: MayWriteMailboxes, several: models.SeveralDeleted, key: IdempotencyKey = None
) -> Any:
    """Close their logins; with `force` remove them on the mail server."""
    how = several.model_dump(exclude={"ids"})

    def delete(ids: Sequence[UUID]) -> BulkResult:
        return product.services.bulk.delete(actor, ids, **how)

    return _change(product, actor, several.ids, delete)


def _change(
    product: Postroom, actor: Actor, given: Sequence[UUID], change: Callable[[Sequence[UUID]], BulkResult]
) -> dict[str, Any]:
    """What the caller may not see is refused like what is not there."""
    ids = list(dict.fromkeys(given))
    own = product.queries.own_mailboxes(actor, ids)
    kept = [uid for uid in ids if uid in own]
    result = change(kept) if kept else BulkResult()
    done, unchanged = set(result.done), set(result.unchanged)
    missing: ProvisionError = NotFound("There is no such mailbox.", code="MAILBOX_NOT_FOUND")
    errors = {kept[error.index]: error.error for error in result.errors}
    items = []
    for index, uid in enumerate(ids):
        if uid in done or uid in unchanged:
            items.append(_item(index, str(uid), "done" if uid in done else "unchanged", uid))
        else:
            items.append(_refused(index, str(uid), errors.get(uid, missing)))
    return _answer(items, result.left_open)


def _item(index: int, name: str, result: str, uid: UUID | None) -> dict[str, Any]:
    return {"index": index, "name": name, "result": result, "id": uid, "error": None, "code": None}


def _refused(index: int, name: str, error: ProvisionError) -> dict[str, Any]:
    shown = {"error": error.message, "code": error.code}
    return {"index": index, "name": name, "result": "refused", "id": None, **shown}


def _answer(items: list[dict[str, Any]], left_open: Sequence[str] = ()) -> dict[str, Any]:
    results = [item["result"] for item in items]
    refused, unchanged = results.count("refused"), results.count("unchanged")
    counts = {"done": len(items) - refused - unchanged, "unchanged": unchanged, "refused": refused}
    return {**counts, "left_open": left_open, "items": items}
