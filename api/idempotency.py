"""A POST with an `Idempotency-Key` happens once: the same key and body again give the same answer."""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api.auth import product_of
from provision.core.access import Actor
from provision.core.errors import InvalidInput
from provision.services.idempotency import IdempotencyStore

MAX_KEY = 100
KEPT_HEADERS = ("content-type", "etag", "location", "cache-control")
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=MAX_KEY,
        pattern=r"^[!-~]+$",
        examples=["2f1c6c1e-order-4711"],
        description="The same key and request again, within a day, give the same answer; another request is a 409.",
    ),
]


class OnceRoute(APIRoute):
    """The route class of every router with a POST."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if key is None or request.method != "POST":
                return await handle(request)
            if not key.isascii() or not key.isprintable() or not 0 < len(key) <= MAX_KEY:
                raise InvalidInput(f"An Idempotency-Key has 1 to {MAX_KEY} visible ASCII characters.")
            return await _once(request, key, handle)

        return handle_once


async def _once(request: Request, key: str, handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    store: IdempotencyStore = product_of(request).services.idempotency
    actor: Actor = request.scope["caller"].actor
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body()
    known = await run_in_threadpool(store.claim, actor, request.scope["token"], key, asked)
    if known is not None:
        return _again(*known)
    response = None
    try:
        response = await handle(request)
    finally:
        if response is None or response.status_code >= 400:
            await run_in_threadpool(store.release, actor, key)
    if response.status_code < 400:
        await run_in_threadpool(store.keep, actor, key, response.status_code, _stored(response))
    return response


def _stored(response: Response) -> bytes:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return json.dumps({"headers": headers, "body": bytes(response.body).decode()}).encode()


def _again(status: int, stored: bytes) -> Response:
    found = json.loads(stored)
    return Response(found["body"], status, {**found["headers"], "idempotent-replayed": "true"})
