"""What waits, sending it again, importing, comparing both sides and resolving differences."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from api import models, reports, rows
from api.auth import MayPull, MayPush, MayReadSync, Product
from api.context import Number, Search, Size, Wait, foreign_to, one_server, wait_until_synced
from api.idempotency import IdempotencyKey, OnceRoute
from provision.app import Postroom
from provision.core import address as addresses
from provision.core.access import Actor
from provision.core.errors import MailServerError, NotFound
from provision.core.state import Key, Resource
from provision.queries.rows import UnsyncedRow
from provision.services.adopting import PullResult
from provision.services.comparing import Finding, Side
from provision.services.resolving import Winner
from provision.storage.models import SyncStatus

router = APIRouter(prefix="/provision/sync", tags=["sync"], route_class=OnceRoute)
ServerName = Annotated[str | None, Query(max_length=80, pattern=models.PLAIN, description="Left out: the only one.")]


@router.get("/status", response_model=reports.SyncOverview)
def sync_status(
    product: Product,
    actor: MayReadSync,
    sync_status: Annotated[SyncStatus | None, Query(alias="syncStatus")] = None,
    number: Number = 1,
    size: Size = 50,
) -> Any:
    """Everything that is PENDING or FAILED, with its error."""
    page = product.queries.unsynced(actor, sync_status=sync_status, number=number, size=size)
    counts = product.queries.counts(actor)
    sums = {f"{kind}es": _counts(counts, kind) for kind in ("mailbox", "alias")}
    return rows.paged(page, [_unsynced(row) for row in page.rows], number, **sums)


@router.post("/pull", response_model=reports.PullAnswer)
def pull(
    product: Product, actor: MayPull, wanted: reports.PullRequest | None = None, key: IdempotencyKey = None
) -> Any:
    """Import what is on the mail servers and unknown here. Nothing changes there."""
    wanted = wanted or reports.PullRequest()
    looking = replace(actor, scopes=None)
    servers = [one_server(product, actor, wanted.server)] if wanted.server else product.queries.servers(looking)
    total, failed = PullResult(), None
    for server in servers:
        try:
            result = product.services.sync.pull(actor, server.uid, force=wanted.force)
        except MailServerError as error:
            failed = error
            total.errors.append(f"{server.name}: {error.message}")
            continue
        total.imported, total.updated = total.imported + result.imported, total.updated + result.updated
        total.errors, total.missing = total.errors + result.errors, total.missing + result.missing
    if failed and len(servers) == 1:
        raise failed
    return {
        "success": failed is None,
        "imported": total.imported,
        "updated": total.updated,
        "errors": total.errors,
        "missing": total.missing,
    }


@router.post("/push", response_model=reports.PushAnswer)
def push_all(product: Product, actor: MayPush, server: ServerName = None, key: IdempotencyKey = None) -> Any:
    """Try everything again that is FAILED or waits, of one mail server or of all."""
    only = one_server(product, actor, server).uid if server else None
    retried = product.services.sync.retry_all(actor, only)
    counts = product.queries.counts(actor)
    left = {word.lower(): sum(counts.get(f"{kind}.{word}", 0) for kind in Resource) for word in ("PENDING", "FAILED")}
    return {"retried": retried, **left}


@router.post("/push/{id}", response_model=reports.Pushed)
async def push_one(product: Product, actor: MayPush, id: UUID, key: IdempotencyKey = None, wait: Wait = 0) -> Any:
    """Send one mailbox or alias again."""
    resource = await run_in_threadpool(_resource, product, actor, id)
    await run_in_threadpool(product.services.sync.retry, actor, resource, id)
    looking = replace(actor, scopes=None)
    row = await wait_until_synced(lambda: product.queries.row(looking, resource, id), wait)
    return {"id": id, "resource_type": resource, **rows.progress(row)}


@router.get("/preview", response_model=reports.Preview)
def preview(
    product: Product,
    actor: MayReadSync,
    server: ServerName = None,
    search: Search = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Entries of each kind.")] = 100,
) -> Any:
    """What a push would do, and everything on which the two sides differ."""
    row = one_server(product, actor, server)
    seen = product.services.sync.compare(actor, row.uid, search=search, limit=limit)
    entries = {kind: [_finding(entry) for entry in entries] for kind, entries in seen.entries.items()}
    return {"server": row.name, "read_at": seen.read_at, "counts": dict(seen.counts), "entries": entries}


@router.post("/resolve", response_model=reports.ResolveAnswer)
def resolve(product: Product, actor: MayPush, wanted: reports.ResolveRequest, key: IdempotencyKey = None) -> Any:
    """Resolve differences either way: those named, or all differences of values."""
    server, winner = one_server(product, actor, wanted.server), Winner(wanted.winner)
    if wanted.items is None:
        return {"resolved": product.services.sync.resolve_all(actor, server.uid, winner)}
    keys = [Key(item.resource_type, _normal(item)) for item in wanted.items]
    keys = list(dict.fromkeys(keys))
    for refusal in filter(None, map(foreign_to(product, actor), (key.address for key in keys))):
        raise refusal
    product.services.sync.resolve_many(actor, server.uid, keys, winner)
    return {"resolved": len(keys)}


def _normal(item: reports.ResolveItem) -> str:
    is_alias = item.resource_type is Resource.ALIAS
    return (addresses.normalise_alias if is_alias else addresses.normalise)(item.address)


def _resource(product: Postroom, actor: Actor, uid: UUID) -> Resource:
    """What has this id. Raises: NotFound."""
    for resource in Resource:
        with suppress(NotFound):
            product.queries.row(replace(actor, scopes=None), resource, uid)
            return resource
    raise NotFound("There is no such mailbox or alias.")


def _counts(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    return {word.lower(): counts.get(f"{kind}.{word}", 0) for word in SyncStatus}


def _unsynced(row: UnsyncedRow) -> dict[str, Any]:
    same = {name: row[name] for name in ("address", "server", "server_error", "alarm")}
    return {**rows.progress(row), **same, "id": row["uid"], "resource_type": row["resource"]}


def _finding(entry: Finding) -> dict[str, Any]:
    key = entry.key
    return {
        "resource_type": key.resource if key else None,
        "address": key.address if key else None,
        "fields": list(entry.fields),
        "ours": _side(entry.ours),
        "theirs": _side(entry.theirs),
        "text": entry.text,
        "reason": entry.reason,
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "storage_quota": rows.in_mb(side.quota_bytes),
        "message_quota": side.quota_messages,
        "enabled": side.enabled,
        "destinations": None if side.destinations is None else list(side.destinations),
    }
