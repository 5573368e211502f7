"""Everything of the server that is not a page: routes, headers, start and stop."""

import base64
import gc
import hashlib
import importlib
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import streamlit
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import MOUNT, create_api, mounted
from api.errors import answer
from api.health import metrics_endpoint
from provision.app import Postroom, create_first_admin
from provision.core.errors import AccessDenied, ProvisionError
from provision.core.networks import is_within
from provision.identity.sign_in import FIRST_ADMIN
from provision.jobs.loop import Jobs
from provision.ops.first_start import add_named_server
from provision.settings.config import get_settings
from provision.telemetry import serverlog
from webui.http import endpoints, import_endpoints
from webui.http.base_path import base_path, path_below, url_for
from webui.http.connections import watch_connections
from webui.http.proxies import RealAddress
from webui.http.request_log import RequestLog
from webui.http.running import jobs_alive, postroom, watch
from webui.http.strangers import BodiesInTime, KnownHosts, Strangers, Uploads
from webui.http.timers import TimersWait

SCRIPT = Path(__file__).resolve().parent.parent / "main.py"
HIDDEN = ("/_stcore/metrics", "/_stcore/agent")  # of Streamlit: would tell strangers about sessions
HEALTH = ("/health", "/api/provision/health")
BARE_MODE = "streamlit.runtime.scriptrunner_utils.script_run_context"
PRELOADED = ("pandas", "pyarrow", "streamlit_authenticator", "altair", "webui.entry", "webui.kit.listing")


def routes() -> list[BaseRoute]:
    """All below the base path; health at the root too, for the container's own check knows no base path."""
    mount = url_for(MOUNT)
    found: list[BaseRoute] = [
        mounted(create_api(postroom, jobs_alive, mount), mount),
        Route(url_for("/health"), endpoints.health),
        Route(url_for("/metrics"), metrics_endpoint(postroom)),
        Route(url_for("/auth/session"), endpoints.set_cookie),
        Route(url_for("/auth/logout"), endpoints.drop_cookie),
        Route(url_for("/export/mailboxes.csv"), endpoints.export_mailboxes),
        Route(url_for("/export/aliases.csv"), endpoints.export_alias_list),
        Route(url_for("/export/logs.csv"), endpoints.export_logs),
        Route(url_for("/export/mailboxes-template.csv"), import_endpoints.mailbox_template),
        Route(url_for("/export/import-rejected.csv"), import_endpoints.import_rejected),
        Route(url_for("/export/import-passwords.csv"), import_endpoints.import_passwords),
    ]
    return [*found, Route("/health", endpoints.health)] if base_path() else found


def middleware() -> list[Middleware]:
    outermost_first = (
        SecurityHeaders,
        RealAddress,
        RequestLog,
        AllowedNetworks,
        KnownHosts,
        BodiesInTime,
        Uploads,
        Strangers,
        TimersWait,
    )
    return [Middleware(kind) for kind in outermost_first]


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Open the product, start the jobs; then keep what is loaded out of the garbage collector's way: Streamlit collects
    after each run, which would cost 70 ms. Last, when all is ready, the first admin's password is told."""
    with _or_no_start():
        product = _opened()
    watch_connections()
    logging.getLogger(BARE_MODE).setLevel(logging.ERROR)  # importing outside a page is meant here
    for name in PRELOADED:
        importlib.import_module(name)
    jobs = Jobs(product) if product.settings.jobs else None
    if jobs:
        jobs.start()
    watch(jobs)
    gc.collect()
    gc.freeze()
    with _or_no_start():
        _tell_first_password(product)
    try:
        yield {}
    finally:
        if jobs:
            jobs.stop()
        product.close()


@contextmanager
def _or_no_start() -> Iterator[None]:
    """What stands in the way of a start is a sentence: a server would print what led to it, in 60 lines."""
    try:
        yield
    except ProvisionError as error:
        print(f"Postroom does not start. {error.message}", file=sys.stderr, flush=True)
        os._exit(1)


def _opened() -> Postroom:
    serverlog.configure(get_settings().log_format)
    product = postroom()
    for sentence in add_named_server(product):
        print(f"Postroom: {sentence}", flush=True)
    return product


def _tell_first_password(product: Postroom) -> None:
    if password := create_first_admin(product):
        print(f"Postroom: sign in as “{FIRST_ADMIN}” with the one-time password {password.reveal()}", flush=True)


def content_security_policy() -> str:
    """Only what this server serves. Streamlit's own inline script is let through by its hash."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


class SecurityHeaders:
    """Headers on every HTTP answer; and what strangers need not see is not there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        fixed = {
            "content-security-policy": content_security_policy(),
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }
        self.headers = [(name.encode(), value.encode()) for name, value in fixed.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = [pair for pair in self.headers if pair[0] not in given]
                if scope["scheme"] == "https":
                    extra.append((b"strict-transport-security", b"max-age=31536000"))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        hidden = path_below(scope["path"]).startswith(HIDDEN)
        await (PlainTextResponse("Not found", 404) if hidden else self.app)(scope, receive, send_with_headers)


class AllowedNetworks:
    """Whoever comes from elsewhere is refused, pages and websocket alike; health answers all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] in ("http", "websocket")
            and path_below(scope["path"]) not in HEALTH
            and not _is_allowed(scope)
        ):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 4403})
                return
            await _refusal(scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _refusal(scope: Scope) -> Response:
    if path_below(scope["path"]).startswith(f"{MOUNT}/"):
        return answer(AccessDenied("Your network may not use this.", code="NETWORK_NOT_ALLOWED"))
    return PlainTextResponse("Your network may not use this.", 403)


def _is_allowed(scope: Scope) -> bool:
    networks = get_settings().networks
    return not networks or is_within(scope["client"][0] if scope.get("client") else "", networks)
