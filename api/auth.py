"""Who calls, and what they may do: Bearer tokens, looked at before anything else of a request."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer
from api.limits import Limits
from provision.app import Postroom
from provision.core.access import Actor, Permission
from provision.core.errors import AccessDenied, InvalidInput, NotSignedIn, ProvisionError
from provision.core.secret import Secret
from provision.services.tokens import Caller
from provision.telemetry import metrics, serverlog
from provision.transfer.csv_reader import MAX_BYTES

CSV = "/provision/mailboxes/import"
MAX_JSON = 1 << 20  # bytes: each unknown key of a body costs a hundred times its own size
INVISIBLE = re.compile(r"[\x00-\x1f\x7f]")
OPEN = frozenset({"/provision/health", "/provision/openapi.json", "/provision/docs"})


class Guard:
    """Counts a call, finds out whose it is, and lets it in. Cookies mean nothing here."""

    def __init__(self, app: ASGIApp, product: Callable[[], Postroom], limits: Limits) -> None:
        self.app = app
        self.product = product
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        is_head, scope = scope["method"] == "HEAD", as_routed(scope)

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._admit(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            metrics.note_request(scope["method"], route, status, time.perf_counter() - started)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if path_within(scope) not in OPEN:
                scope["caller"] = await self._caller(scope)
            if INVISIBLE.search(scope["path"]):
                raise InvalidInput("The path holds invisible characters.")
        except ProvisionError as error:
            await answer(error)(scope, receive, send)
            return
        await self.app(scope, limited(receive, MAX_BYTES if path_within(scope) == CSV else MAX_JSON), send)

    async def _caller(self, scope: Scope) -> Caller:
        ip, product = address(scope), self.product()
        self.limits.spend("address", ip, product.settings.api_calls_per_minute)
        token = bearer(Request(scope).headers)
        caller = await run_in_threadpool(product.services.tokens.caller, token, ip)
        self.limits.spend("token", caller.actor.name, product.settings.api_calls_per_minute)
        scope["token"] = token
        serverlog.add(operator=caller.actor.name)
        return caller


def limited(receive: Receive, most: int) -> Receive:
    """The body as it comes, up to so many bytes. Raises: HTTPException, which has its handler."""
    seen = 0

    async def receive_some() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, f"The body is larger than {most >> 20} MB")
        return message

    return receive_some


def as_routed(scope: Scope) -> Scope:
    """A slash at the end is not missed, and HEAD is GET without the body."""
    path = scope["path"].rstrip("/")
    is_within = len(path) > len(scope.get("root_path", ""))
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "method": method, "path": path if is_within else scope["path"]}


def path_within(scope: Scope) -> str:
    """The path below where the API is mounted."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else "unknown"


def bearer(headers: Mapping[str, str]) -> Secret:
    """Raises: NotSignedIn."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn("Send your token as: Authorization: Bearer <token>.")
    return Secret(token.strip())


def needs(permission: Permission) -> Any:
    """A dependency: the caller, if its token has this scope. Raises: AccessDenied, which is recorded."""

    async def check(request: Request) -> Actor:
        actor: Actor = request.scope["caller"].actor
        try:
            actor.require(permission)
        except AccessDenied as denial:
            await run_in_threadpool(product_of(request).services.tokens.record_denial, actor, denial)
            raise
        return actor

    check.permission = permission  # type: ignore[attr-defined]
    return Depends(check)


def product_of(request: Request) -> Postroom:
    product: Postroom = request.app.state.product()
    return product


async def _product(request: Request) -> Postroom:
    return product_of(request)


async def _limits(request: Request) -> Limits:
    limits: Limits = request.app.state.limits
    return limits


Product = Annotated[Postroom, Depends(_product)]
RateLimits = Annotated[Limits, Depends(_limits)]
MayReadMailboxes = Annotated[Actor, needs(Permission.MAILBOX_READ)]
MayWriteMailboxes = Annotated[Actor, needs(Permission.MAILBOX_WRITE)]
MayReadAliases = Annotated[Actor, needs(Permission.ALIAS_READ)]
MayWriteAliases = Annotated[Actor, needs(Permission.ALIAS_WRITE)]
MayReadDomains = Annotated[Actor, needs(Permission.DOMAIN_READ)]
MayWriteDomains = Annotated[Actor, needs(Permission.DOMAIN_WRITE)]
MayReadServers = Annotated[Actor, needs(Permission.SERVER_READ)]
MayReadSync = Annotated[Actor, needs(Permission.SYNC_READ)]
MayPush = Annotated[Actor, needs(Permission.SYNC_PUSH)]
MayPull = Annotated[Actor, needs(Permission.SYNC_PULL)]
MayReadLogs = Annotated[Actor, needs(Permission.LOG_READ)]
MayReadPolicy = Annotated[Actor, needs(Permission.POLICY_READ)]
MayWritePolicy = Annotated[Actor, needs(Permission.POLICY_WRITE)]
MayVerifyAudit = Annotated[Actor, needs(Permission.AUDIT_VERIFY)]
