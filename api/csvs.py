"""Mailboxes as CSV, in and out."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api import models
from api.auth import MayReadMailboxes, MayWriteMailboxes, Product
from api.context import Search
from api.idempotency import IdempotencyKey, OnceRoute
from api.mailboxes import Domain
from provision.core.errors import InvalidInput
from provision.queries import MailboxFilter, prefetch
from provision.storage.models import Status, SyncStatus
from provision.transfer.csv_io import ImportResult, changes_of, export_csv, import_csv, plan_import, template
from provision.transfer.csv_reader import Encoding, Reading, RowError, reading_of

router = APIRouter(prefix="/provision/mailboxes", tags=["csv"], route_class=OnceRoute)
Excel = Annotated[bool, Query(description="With the mark by which Excel knows UTF-8.")]
DryRun = Annotated[bool, Query(alias="dryRun", description="Only report what would be done.")]
Encoded = Annotated[Encoding | None, Query(description="What a file is in that is neither UTF-8 nor UTF-16.")]


def csv_body(example: str) -> tuple[dict[int | str, dict[str, Any]], dict[str, Any]]:
    """How the document shows a file as an answer, and as a body."""
    content = {"text/csv": {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": "The file.", "content": content}}, {
        "requestBody": {"required": True, "content": content}
    }


CSV, BODY = csv_body(template())


def csv_answer(filename: str, lines: Iterator[str]) -> Response:
    headers = {"content-disposition": f'attachment; filename="{filename}"', "cache-control": "no-store"}
    return StreamingResponse(prefetch(lines), media_type="text/csv; charset=utf-8", headers=headers)


async def body_of(request: Request) -> bytes:
    """Raises: InvalidInput."""
    data = await request.body()
    if not data:
        raise InvalidInput("The body must be a CSV file.", code="CSV_UNREADABLE")
    return data


def refused_rows(errors: Iterable[RowError]) -> list[dict[str, Any]]:
    return [{"row": one.number, "column": one.column, "code": one.code, "error": one.message} for one in errors]


@router.get("/export", response_class=StreamingResponse, responses=CSV)
def export_mailboxes(
    product: Product,
    actor: MayReadMailboxes,
    search: Search = "",
    domain: Domain = None,
    status: Status | None = None,
    sync_status: Annotated[SyncStatus | None, Query(alias="syncStatus")] = None,
    excel: Excel = False,
) -> Response:
    """The list as CSV, never with passwords or hashes."""
    where = MailboxFilter(search, domain, status, sync_status)
    return csv_answer("mailboxes.csv", export_csv(product, actor, where, excel=excel))


def how_to_read(
    columns: Annotated[
        list[str], Query(alias="map", description="Which column is what, as `email=Mail`; may be given several times.")
    ] = [],  # noqa: B006
    new_passwords: Annotated[
        bool, Query(alias="newPasswords", description="Make a password where a row has none; the answer tells them.")
    ] = False,
    update: Annotated[
        bool, Query(description="Change name, quota and login of mailboxes that exist; an empty cell changes nothing.")
    ] = False,
    set_passwords: Annotated[
        bool, Query(alias="setPasswords", description="With `update`: also their passwords, where a row has one.")
    ] = False,
    encoding: Encoded = None,
) -> Callable[[bytes], Reading]:
    how = {"passwords": new_passwords, "update": update, "set_passwords": set_passwords}
    return lambda data: reading_of(data, encoding, columns, **how)


@router.post("/import", response_model=models.ImportAnswer, openapi_extra=BODY)
async def import_mailboxes(
    product: Product,
    actor: MayWriteMailboxes,
    request: Request,
    response: Response,
    reading_of_it: Annotated[Callable[[bytes], Reading], Depends(how_to_read)],
    key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Any:
    """Create a mailbox for every good row.

    Columns: email, password or password_hash, display_name, quota_mb, aliases, enabled; those of other systems are
    recognised, or `map` says which is what.
    """
    data = await body_of(request)
    reading = reading_of_it(data)
    if dry_run:
        result = await run_in_threadpool(plan_import, product, actor, data, reading)
    else:
        call = partial(import_csv, product, actor, data, reading=reading, idempotency_key=key)
        result = await run_in_threadpool(call)
    response.headers["Cache-Control"] = "no-store"
    return _answer(result)


def _answer(result: ImportResult) -> dict[str, Any]:
    return {
        "created": len(result.created),
        "acceptable": len(result.accepted),
        "ids": list(result.created),
        "refused": refused_rows(result.errors),
        "warnings": result.warnings,
        "passwords": [{"email": a, "password": secret.reveal()} for a, secret in result.passwords.items()],
        "leftOut": result.left_out,
        "updated": changes_of(result),
        "unchanged": result.unchanged,
    }
