"""Aliases: addresses foreign_to mail goes elsewhere."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api import models, rows
from api.auth import MayReadAliases, MayWriteAliases, Product
from api.context import (
    FoundAlias,
    Number,
    Search,
    Size,
    Wait,
    after_delete,
    etag,
    foreign_to,
    location,
    wait_until_synced,
)
from api.csvs import DryRun, Encoded, Excel, body_of, csv_answer, csv_body, refused_rows
from api.idempotency import IdempotencyKey, OnceRoute
from api.mailboxes import Domain
from provision.app import Postroom
from provision.core.access import Actor
from provision.core.errors import NotFound
from provision.storage.models import Alias, SyncStatus
from provision.transfer.alias_csv import export_aliases, import_aliases

router = APIRouter(prefix="/provision/aliases", tags=["aliases"], route_class=OnceRoute)
ALIAS_CSV, ALIAS_BODY = csv_body("alias,destinations,mailbox\r\ninfo@example.com,anna@example.com;ben@example.com,\r\n")


@router.get("", response_model=models.Listing[models.Alias])
def list_aliases(
    product: Product,
    actor: MayReadAliases,
    search: Search = "",
    domain: Domain = None,
    mailbox_id: Annotated[UUID | None, Query(alias="mailboxId")] = None,
    sync_status: Annotated[SyncStatus | None, Query(alias="syncStatus")] = None,
    number: Number = 1,
    size: Size = 50,
) -> Any:
    """A page of aliases by the mailbox they belong to."""
    page = product.queries.aliases(
        actor, search=search, domain=domain, mailbox_id=mailbox_id, sync_status=sync_status, number=number, size=size
    )
    refusal = foreign_to(product, actor)
    return rows.paged(page, [rows.alias(row, refusal) for row in page.rows], number)


@router.get("/export", response_class=StreamingResponse, responses=ALIAS_CSV)
def export_alias_list(
    product: Product, actor: MayReadAliases, search: Search = "", domain: Domain = None, excel: Excel = False
) -> Response:
    """The list as CSV, with all destinations."""
    return csv_answer("aliases.csv", export_aliases(product, actor, search, domain, excel=excel))


@router.post("/import", response_model=models.AliasImportAnswer, openapi_extra=ALIAS_BODY)
async def import_alias_list(
    product: Product,
    actor: MayWriteAliases,
    request: Request,
    key: IdempotencyKey = None,
    dry_run: DryRun = False,
    encoding: Encoded = None,
) -> Any:
    """Make an alias for every good row. Columns: alias, destinations, mailbox."""
    data = await body_of(request)
    call = partial(import_aliases, product, actor, data, encoding, dry_run=dry_run, idempotency_key=key)
    result = await run_in_threadpool(call)
    return {
        "created": len(result.created),
        "acceptable": len(result.accepted),
        "ids": list(result.created),
        "refused": refused_rows(result.errors),
    }


@router.post("", status_code=201, response_model=models.ChangedAlias)
async def create_alias(
    product: Product,
    actor: MayWriteAliases,
    new: models.NewAlias,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
    wait: Wait = 0,
) -> Any:
    """Make an alias; `@example.com` catches all mail of a domain."""

    def create() -> Alias:
        _refuse_foreign_owner(product, actor, new.mailbox_id)
        return product.services.aliases.create(
            actor, new.alias_address, new.destinations, mailbox_id=new.mailbox_id, idempotency_key=key
        )

    made = await run_in_threadpool(create)
    response.headers["Location"] = location(request, made.uid)
    return await _after(product, actor, made, wait, response)


@router.get("/{id}", response_model=models.Alias)
def get_alias(product: Product, actor: MayReadAliases, found: FoundAlias, response: Response) -> Any:
    response.headers["ETag"] = etag(found.row["version"])
    return rows.alias(found.row, foreign_to(product, actor))


@router.patch("/{id}", response_model=models.ChangedAlias)
async def edit_alias(
    product: Product,
    actor: MayWriteAliases,
    found: FoundAlias,
    edit: models.AliasEdit,
    response: Response,
    wait: Wait = 0,
) -> Any:
    """Replace the destinations."""
    changed = await run_in_threadpool(
        product.services.aliases.edit, actor, found.uid, edit.destinations, expected_version=found.expected
    )
    return await _after(product, actor, changed, wait, response)


@router.delete("/{id}", response_model=models.Deleted)
async def delete_alias(product: Product, actor: MayWriteAliases, found: FoundAlias, wait: Wait = 0) -> Any:
    gone = await run_in_threadpool(product.services.aliases.delete, actor, found.uid, expected_version=found.expected)
    read = lambda: product.queries.alias_row(actor, found.uid)  # noqa: E731
    return await after_delete(gone, read, wait)


def _refuse_foreign_owner(product: Postroom, actor: Actor, mailbox_id: UUID | None) -> None:
    """Somebody else's mailbox looks like one that is not there."""
    if mailbox_id is not None and not product.queries.own_mailboxes(replace(actor, scopes=None), [mailbox_id]):
        raise NotFound("The mailbox this alias should belong to does not exist.", code="MAILBOX_NOT_FOUND")


async def _after(product: Postroom, actor: Actor, changed: Alias, wait: int, response: Response) -> dict[str, Any]:
    row = await wait_until_synced(lambda: product.queries.alias_row(actor, changed.uid), wait)
    if row is None:
        raise NotFound("The alias was deleted meanwhile.", code="ALIAS_NOT_FOUND")
    response.headers["ETag"] = etag(row["version"])
    refusal = await run_in_threadpool(foreign_to, product, actor)
    looking, about = replace(actor, scopes=None), (row["address"], row["destinations"])
    warnings = await run_in_threadpool(product.queries.alias_warnings, looking, *about)
    return {**rows.alias(row, refusal), "log_id": changed.log_uid, "warnings": warnings}
