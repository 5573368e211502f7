"""The provision log, and the audit chain over it."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from api import models, reports, rows
from api.auth import MayReadLogs, MayVerifyAudit, Product
from api.context import Number, Size
from api.idempotency import IdempotencyKey, OnceRoute
from provision.audit.archive import FOLDER
from provision.queries import LogFilter, begin_of, end_of, prefetch
from provision.storage.models import LogStatus

router = APIRouter(prefix="/provision", tags=["logs"], route_class=OnceRoute)
Word = Annotated[str | None, Query(max_length=80, pattern=models.PLAIN)]
WHEN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,18}(Z|[+ -][0-9:]{2,5})?)?$"
Since = Annotated[
    str | None,
    Query(
        alias="startDate",
        pattern=WHEN,
        examples=["2026-11-21"],
        description="From this day or time on; UTC, or with an offset.",
    ),
]
Until = Annotated[
    str | None,
    Query(
        alias="endDate",
        pattern=WHEN,
        examples=["2026-11-21T12:00:00Z"],
        description="To the end of this day, or until this time.",
    ),
]
NDJSON: dict[int | str, dict[str, Any]] = {
    200: {"description": "One record a line.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
}


@router.get("/logs", response_model=models.Listing[models.LogRecord])
def list_logs(
    product: Product,
    actor: MayReadLogs,
    operation: Word = None,
    resource_type: Annotated[Word, Query(alias="resourceType")] = None,
    resource_id: Annotated[UUID | None, Query(alias="resourceId")] = None,
    status: LogStatus | None = None,
    operator: Word = None,
    search: Word = None,
    start: Since = None,
    end: Until = None,
    number: Number = 1,
    size: Size = 50,
) -> Any:
    """A page of the log, newest first."""
    where = LogFilter(
        operation, resource_type, resource_id, status, operator, search or "", begin_of(start), end_of(end)
    )
    page = product.queries.logs(actor, where, number=number, size=size)
    return rows.paged(page, [rows.log_record(row) for row in page.rows], number)


@router.get("/logs/stream", response_class=StreamingResponse, responses=NDJSON)
def stream_logs(
    product: Product,
    actor: MayReadLogs,
    operation: Word = None,
    resource_type: Annotated[Word, Query(alias="resourceType")] = None,
    status: LogStatus | None = None,
    operator: Word = None,
    search: Word = None,
    start: Since = None,
    end: Until = None,
) -> Response:
    """The whole filtered log, oldest first, one JSON object a line."""
    where = LogFilter(operation, resource_type, None, status, operator, search or "", begin_of(start), end_of(end))

    def lines() -> Iterator[str]:
        for row in product.queries.each_log(actor, where):
            yield models.LogRecord(**rows.log_record(row)).model_dump_json(by_alias=True) + "\n"

    return StreamingResponse(prefetch(lines()), media_type="application/x-ndjson")


@router.get("/logs/{id}", response_model=models.LogRecord)
def get_log(product: Product, actor: MayReadLogs, id: UUID) -> Any:
    return rows.log_record(product.queries.log(actor, id))


@router.get("/audit/head", response_model=reports.AuditHead, tags=["audit"])
def audit_head(product: Product, actor: MayVerifyAudit) -> Any:
    """The end of the chain. Kept elsewhere, it makes a cut or rewritten tail visible."""
    return product.queries.audit_head(actor)


@router.post("/audit/verify", response_model=reports.AuditReport, tags=["audit"])
def verify_audit(
    product: Product, actor: MayVerifyAudit, head: reports.AuditHead | None = None, key: IdempotencyKey = None
) -> Any:
    """Walk the whole chain; with a head that was kept, also against that."""
    folder = product.settings.data_dir / FOLDER
    report = product.queries.verify_audit(actor, head.model_dump() if head else None, folder)
    return {name: getattr(report, name) for name in reports.AuditReport.model_fields}
