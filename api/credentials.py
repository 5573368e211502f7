"""Checking a mailbox password, and asking who one is."""

from typing import Any

from fastapi import APIRouter, Request

from api import reports, rows
from api.auth import MayWriteMailboxes, Product, RateLimits
from api.idempotency import IdempotencyKey, OnceRoute
from provision.core import address as addresses
from provision.core.errors import InvalidInput

router = APIRouter(prefix="/provision", tags=["tokens"], route_class=OnceRoute)


@router.post("/verify-credentials", response_model=reports.Verdict, tags=["mailboxes"])
def verify_credentials(
    product: Product,
    actor: MayWriteMailboxes,
    limits: RateLimits,
    given: reports.Credentials,
    key: IdempotencyKey = None,
) -> Any:
    """Whether the mail server lets this mailbox in with this password: tried by an IMAP login."""
    email, often = addresses.normalise(given.email), product.settings.api_verifications_per_minute
    limits.spend("verify-token", actor.name, often)
    row = product.queries.mailbox_by_address(actor, email)
    limits.spend("verify-mailbox", email, often)  # after it was found: nobody uses up the checks of a foreign one
    password = rows.secret(given.password)
    if password is None:
        raise InvalidInput("Give a password.")
    return {"valid": product.services.mailboxes.verify_password(actor, row.uid, password)}


@router.get("/token", response_model=reports.TokenInfo)
async def whoami(request: Request) -> Any:
    """The token that asks: what it may do, where, and until when. Needs no scope."""
    token = request.scope["caller"].token
    domains = None if token["everywhere"] else token["domains"]
    same = ("name", "scopes", "networks", "expires_at")
    return {**{name: token[name] for name in same}, "domains": domains}
