"""What endpoints share: paging, the row a path names, If-Match, waiting for the push, the answer after a change."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import models, rows
from api.auth import MayReadAliases, MayReadMailboxes, Product
from api.errors import as_seen_by
from provision.app import Postroom
from provision.core import address as addresses
from provision.core.access import Actor
from provision.core.errors import Conflict, ForeignDomain, InvalidInput, NotFound, ProvisionError
from provision.queries.rows import AliasRow, MailboxRow, SyncedRow
from provision.storage.models import Alias, Mailbox, Server, SyncStatus

POLL_SECONDS = 0.2
MAX_WAIT = 60
MAX_PAGE = 1_000_000_000

Row = TypeVar("Row", bound=SyncedRow)

Number = Annotated[int, Query(alias="page", ge=1, le=MAX_PAGE, description="Which page, from 1.")]
Size = Annotated[int, Query(alias="pageSize", ge=1, le=1000, description="Items of a page.")]
Search = Annotated[str, Query(max_length=300, pattern=models.PLAIN)]
Wait = Annotated[
    int, Query(ge=0, le=MAX_WAIT, description="Seconds to wait until the change has reached the mail server or failed.")
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        examples=['"3"'],
        description="The ETag that was read: if somebody has changed it since, nothing is done and the answer is 412.",
    ),
]
Which = Annotated[
    str,
    Path(max_length=320, pattern=models.PLAIN, examples=[models.ID], description="Its id, or its address."),
]
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Error, "description": text}
    for status, text in {
        400: "The request cannot be used.",
        401: "No token, or one that is not valid.",
        403: "The token may not do this.",
        404: "It does not exist, or is in a domain that is not the token's.",
        409: "It clashes with what is there.",
        412: "Somebody has changed it since it was read.",
        413: "The body is too large.",
        422: "A rule forbids it, e.g. a weak password.",
        429: "Too many calls; see Retry-After.",
        500: "A fault of the product.",
        502: "The mail server refused it.",
        503: "The database or the mail server is away.",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Found(Generic[Row]):
    """The row that a path names, which the caller may see. `expected`: its version, if they insist on it."""

    row: Row
    expected: int | None

    @property
    def uid(self) -> UUID:
        return self.row["uid"]


def find_mailbox(id: Which, product: Product, actor: MayReadMailboxes, if_match: IfMatch = None) -> Found[MailboxRow]:
    row = product.queries.mailbox_row(actor, which(id, addresses.normalise))
    return Found(row, insisted(row["version"], if_match))


def find_alias(id: Which, product: Product, actor: MayReadAliases, if_match: IfMatch = None) -> Found[AliasRow]:
    row = product.queries.alias_row(actor, which(id, addresses.normalise_alias))
    return Found(row, insisted(row["version"], if_match))


FoundMailbox = Annotated[Found[MailboxRow], Depends(find_mailbox)]
FoundAlias = Annotated[Found[AliasRow], Depends(find_alias)]


def which(text: str, normalise: Callable[[str], str]) -> UUID | str:
    """An id, or an address as it is stored. Raises: InvalidInput."""
    try:
        return UUID(text)
    except ValueError:
        return normalise(text)


def insisted(version: int, if_match: str | None) -> int | None:
    """The version, if the caller insists on what they read. Raises: Conflict EDIT_CONFLICT, which is a 412."""
    if if_match is None or if_match.strip() == "*":
        return None
    if etag(version) not in [tag.strip() for tag in if_match.split(",")]:
        raise Conflict("Somebody has changed this since you read it. Nothing was done.", code="EDIT_CONFLICT")
    return version


def etag(version: int) -> str:
    """Changes with what is wanted, not with how far sync has come."""
    return f'"{version}"'


def foreign_to(product: Postroom, actor: Actor) -> Callable[[str], ProvisionError | None]:
    """Why an address is none of the caller's, or None: a domain that is not theirs looks like one that is not there."""
    is_own, refusal = product.queries.own(actor), as_seen_by(actor, ForeignDomain(""))
    return lambda address: None if is_own(address) else refusal


def one_server(product: Postroom, actor: Actor, name: str | None) -> Server:
    """The mail server that is named, or the only one."""
    looking = replace(actor, scopes=None)
    if name is not None:
        return product.queries.server_by_name(looking, name)
    servers = product.queries.servers(looking)
    if len(servers) != 1:
        raise InvalidInput("Say which mail server.", code="WHICH_SERVER", servers=[server.name for server in servers])
    return servers[0]


async def wait_until_synced(read: Callable[[], Row], wait: int) -> Row | None:
    """The row when it is no longer PENDING, or as it is after so many seconds; None when it is gone."""
    deadline = time.monotonic() + wait
    while True:
        try:
            row = await run_in_threadpool(read)
        except NotFound:
            return None
        if row["sync_status"] != SyncStatus.PENDING or time.monotonic() >= deadline:
            return row
        await asyncio.sleep(POLL_SECONDS)


async def after_mailbox(
    product: Postroom, actor: Actor, changed: Mailbox, wait: int, response: Response, **more: Any
) -> dict[str, Any]:
    """The mailbox as it is after a change."""
    row = await wait_until_synced(lambda: product.queries.mailbox_row(actor, changed.uid), wait)
    if row is None:
        raise NotFound("The mailbox was deleted meanwhile.", code="MAILBOX_NOT_FOUND")
    response.headers["ETag"] = etag(row["version"])
    warnings = await run_in_threadpool(product.queries.mailbox_warnings, replace(actor, scopes=None), row["address"])
    return {**rows.mailbox(row), "log_id": changed.log_uid, "warnings": warnings, **more}


async def after_delete(gone: Mailbox | Alias, read: Callable[[], Row], wait: int) -> dict[str, Any]:
    how_far = rows.progress(await wait_until_synced(read, wait))
    login_open = isinstance(gone, Mailbox) and gone.login_open
    return {**how_far, "id": gone.uid, "log_id": gone.log_uid, "removed": gone.removed, "login_open": login_open}


def location(request: Request, uid: object) -> str:
    return f"{request.url.path.rstrip('/')}/{uid}"
