"""One line for each HTTP request, under an id that every event of that request carries too."""

import re
import secrets
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provision.telemetry import serverlog
from webui.http.base_path import path_below

log = structlog.get_logger(__name__)
HEADER = b"x-request-id"
GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")  # a proxy's own id is kept when it is harmless
UNTOLD = ("/_stcore/", "/static/", "/app/static/", "/health", "/favicon", "/component/", "/media/")


class RequestLog:
    """Of each request that the headers let through, for they hide some of Streamlit's paths. The query stays out of the
    log, for it may hold a ticket or a search."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number, started, status = request_id(scope), time.perf_counter(), 500
        client = scope.get("client")
        serverlog.begin(request_id=number, ip=client[0] if client else None)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, number.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            if status >= 500 or not path_below(scope["path"]).startswith(UNTOLD):
                took = round((time.perf_counter() - started) * 1000)
                log.info("request", method=scope["method"], path=scope["path"], status=status, duration_ms=took)


def request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return given.decode() if GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
