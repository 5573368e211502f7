"""What somebody who is not signed in may ask of the server: little, and not from another site or port."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, runtime
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from provision.core.access import Permission
from provision.core.errors import ProvisionError
from provision.identity.sign_in import SignedIn
from webui.http import sessions
from webui.http.base_path import path_below

PIECE_SECONDS, BODY_SECONDS = 15.0, 120.0  # for the next piece of a body, and for all of it
PAGES = 40  # of strangers at once
SPACING = 0.2  # seconds between two that are let in
PATIENCE = 120.0  # a stranger who has not signed in after this makes room for the next one
UPLOADS = "/_stcore/upload_file/"
TAB_BYTES, ALL_BYTES = 30 << 20, 200 << 20  # of uploads that are held for one page, and for all
TRY_AGAIN, REFUSED = 1013, 1008  # codes of a websocket's end


async def signed_in(scope: Scope) -> SignedIn | None:
    """None also while the database is away."""
    try:
        return await run_in_threadpool(sessions.of_request, HTTPConnection(scope))
    except ProvisionError:
        return None


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": REFUSED})
    else:
        await PlainTextResponse(sentence, status)(scope, receive, send)


class KnownHosts:
    """Answers for hosts of `server.allowedHosts` only, where that is set; opens pages for its own origin only.

    Streamlit lets every port of this machine in, and cookies know no port.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = HTTPConnection(scope).headers
            host, origin = headers.get("host"), headers.get("origin")
            is_health = path_below(scope["path"]) == "/health"
            if not is_health and not is_host_allowed(host):
                await refuse(scope, receive, send, 400, "This host is not served here.")
                return
            if scope["type"] == "websocket" and origin is not None and not _is_own(origin, host, scope["scheme"]):
                await refuse(scope, receive, send, 403, "")
                return
        await self.app(scope, receive, send)


def _is_own(origin: str, host: str | None, scheme: str) -> bool:
    parts = urlsplit(origin)
    if origin in config.get_option("server.corsAllowedOrigins"):
        return True
    return parts.netloc.lower() == (host or "").lower() and not (scheme == "wss" and parts.scheme == "http")


class BodiesInTime:
    """A body that does not come is not waited for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        until, whole, answered = loop.time() + BODY_SECONDS, False, False

        async def receive_in_time() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                left = max(0.0, min(PIECE_SECONDS, until - loop.time()))
                message = await asyncio.wait_for(receive(), left)
            except TimeoutError:
                if answered:
                    return {"type": "http.disconnect"}
                raise HTTPException(408, "The request took too long to arrive") from None
            whole = not message.get("more_body", False)
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await self.app(scope, receive_in_time, send_and_note)


class Uploads:
    """Files are taken from whoever is signed in and may use them, and no more than are needed at once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._coming: dict[str, int] = {}  # bytes, by page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and path_below(scope["path"]).startswith(UPLOADS)
        if not is_upload or scope["method"] == "OPTIONS":
            await self.app(scope, receive, send)
            return
        who = await signed_in(scope)
        if who is None or who.must_change_password or not who.may(Permission.MAILBOX_WRITE):
            await refuse(scope, receive, send, 403 if who else 401, "Sign in first.")
            return
        page = path_below(scope["path"]).removeprefix(UPLOADS).partition("/")[0]
        size = _announced(Request(scope)) if scope["method"] == "PUT" else 0
        if size and not self._has_room(page, size):
            await refuse(
                scope, receive, send, 413, "Too much is uploaded already. Close other pages, or wait a moment."
            )
            return
        self._coming[page] = self._coming.get(page, 0) + size
        try:
            await self.app(scope, receive, send)
        finally:
            self._coming[page] -= size
            if not self._coming[page]:
                del self._coming[page]

    def _has_room(self, page: str, size: int) -> bool:
        held: dict[str, int] = {name: sum(len(f.data) for f in files.values()) for name, files in _files().items()}
        of_page = held.get(page, 0) + self._coming.get(page, 0)
        return of_page + size <= TAB_BYTES and sum(held.values()) + sum(self._coming.values()) + size <= ALL_BYTES


def _files() -> dict[str, dict[str, Any]]:
    """What Streamlit holds, by page."""
    storage = runtime.get_instance().uploaded_file_mgr
    return {page: dict(files) for page, files in dict(getattr(storage, "file_storage", {})).items()}


def _announced(request: Request) -> int:
    """Bytes; as many as there may be where it does not say."""
    most = int(config.get_option("server.maxUploadSize")) << 20
    given = request.headers.get("content-length", "")
    return int(given) if given.isdecimal() and len(given) < 12 else most


class Strangers:
    """Pages of people who are not signed in: one after the other, and not too many.

    So the others and `/health` are served meanwhile; each page costs a run of the script.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._pages: dict[asyncio.Task[None], float] = {}  # since when, the oldest first
        self._gate = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or await signed_in(scope) is not None:
            await self.app(scope, receive, send)
            return
        if not self._make_room():
            await send({"type": "websocket.close", "code": TRY_AGAIN})
            return
        task = asyncio.ensure_future(self._one(scope, receive, send))
        self._pages[task] = asyncio.get_running_loop().time()
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()  # the server stops
                raise
            await send({"type": "websocket.close", "code": TRY_AGAIN})
        finally:
            self._pages.pop(task, None)

    async def _one(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._gate:
            await asyncio.sleep(SPACING)
        await self.app(scope, receive, send)

    def _make_room(self) -> bool:
        if len(self._pages) < PAGES:
            return True
        oldest, since = next(iter(self._pages.items()))
        if asyncio.get_running_loop().time() - since < PATIENCE:
            return False
        del self._pages[oldest]
        oldest.cancel()
        return True
