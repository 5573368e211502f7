"""The rules in force, and where each comes from."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic.alias_generators import to_camel

from api import reports
from api.auth import MayReadPolicy, MayWritePolicy, Product
from api.context import IfMatch, etag, insisted
from api.idempotency import OnceRoute
from provision.app import Postroom
from provision.core.access import Actor

router = APIRouter(prefix="/provision", tags=["policy"], route_class=OnceRoute)


@router.get("/policy", response_model=reports.Policy)
def get_policy(product: Product, actor: MayReadPolicy, response: Response) -> Any:
    """What a password needs, the standard quota, retries, automatic import."""
    return _answer(product, actor, response)


@router.patch("/policy", response_model=reports.Policy)
def edit_policy(
    product: Product, actor: MayWritePolicy, edit: reports.PolicyEdit, response: Response, if_match: IfMatch = None
) -> Any:
    """Set what is named; null takes a rule back to its default. It holds at once, for everybody."""
    version = insisted(product.services.policy.show(actor).version, if_match)
    product.services.policy.edit(actor, edit.model_dump(exclude_unset=True), expected_version=version)
    return _answer(product, actor, response)


def _answer(product: Postroom, actor: Actor, response: Response) -> dict[str, Any]:
    shown = product.services.policy.show(actor)
    response.headers["ETag"] = etag(shown.version)
    return {
        **{rule.name: rule.value for rule in shown.rules},
        "sources": {to_camel(rule.name): rule.source for rule in shown.rules},
        "defaults": {rule.name: rule.default for rule in shown.rules},
    }
