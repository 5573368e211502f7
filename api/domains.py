"""Domains with their sums, and the mail servers they are on."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api import models, rows
from api.auth import MayReadDomains, MayReadServers, MayWriteDomains, Product
from api.context import IfMatch, etag, insisted, location
from api.idempotency import IdempotencyKey, OnceRoute
from provision.app import Postroom
from provision.core.access import Actor
from provision.queries.rows import DomainRow

router = APIRouter(prefix="/provision", tags=["domains"], route_class=OnceRoute)
Name = Annotated[str, Path(max_length=255, pattern=models.PLAIN, examples=["example.com"])]


@router.get("/domains", response_model=list[models.Domain])
def list_domains(product: Product, actor: MayReadDomains) -> Any:
    """Every domain by name; its mailboxes: `GET /mailboxes?domain=`."""
    return [_shown(row) for row in product.queries.domains(actor)]


@router.post("/domains", status_code=201, response_model=models.Domain)
def create_domain(
    product: Product,
    actor: MayWriteDomains,
    new: models.NewDomain,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
) -> Any:
    quota = rows.in_bytes(new.default_quota)
    made = product.services.domains.create(
        actor, new.name, new.server, description=new.description, default_quota_bytes=quota, idempotency_key=key
    )
    response.headers["Location"] = location(request, made.name)
    return _answer(product, actor, made.name, response)


@router.get("/domains/{name}", response_model=models.Domain)
def get_domain(product: Product, actor: MayReadDomains, name: Name, response: Response) -> Any:
    return _answer(product, actor, name, response)


@router.patch("/domains/{name}", response_model=models.Domain)
def edit_domain(
    product: Product,
    actor: MayWriteDomains,
    name: Name,
    edit: models.DomainEdit,
    response: Response,
    if_match: IfMatch = None,
) -> Any:
    row = product.queries.domain_row(actor, name)
    to_default = "default_quota" in edit.model_fields_set and edit.default_quota is None
    quota = -1 if to_default else rows.in_bytes(edit.default_quota)
    product.services.domains.edit(
        actor,
        row["uid"],
        description=edit.description,
        default_quota_bytes=quota,
        expected_version=insisted(row["version"], if_match),
    )
    return _answer(product, actor, name, response)


@router.delete("/domains/{name}", status_code=204)
def delete_domain(product: Product, actor: MayWriteDomains, name: Name, if_match: IfMatch = None) -> None:
    """Remove a domain that nothing is left in."""
    row = product.queries.domain_row(actor, name)
    version = insisted(row["version"], if_match)
    product.services.domains.delete(actor, row["uid"], expected_version=version)


@router.get("/servers", response_model=list[models.Server], tags=["sync"])
def list_servers(product: Product, actor: MayReadServers) -> Any:
    """The mail servers, whether they answer, and how much waits for each."""
    health = product.queries.health(actor)
    return [{name: value for name, value in row.items() if name in models.Server.model_fields} for row in health]


def _answer(product: Postroom, actor: Actor, name: str, response: Response) -> dict[str, Any]:
    row = product.queries.domain_row(actor, name)
    response.headers["ETag"] = etag(row["version"])
    return _shown(row)


def _shown(row: DomainRow) -> dict[str, Any]:
    return {
        "id": row["uid"],
        "name": row["name"],
        "description": row["description"],
        "server": row["server"],
        "user_count": row["mailboxes"],
        "total_quota": rows.in_mb(row["quota_bytes"]),
        "used_storage": rows.in_mb(row["used_bytes"]),
        "default_quota": rows.in_mb(row["default_quota_bytes"]),
    }
