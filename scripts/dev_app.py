"""The dashboard as scripts/dev serves it: an open page loads itself again when a new process has taken over."""

import logging
from uuid import uuid4

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import app as dashboard

PROCESS = uuid4().hex
TAG = b'<script src="/dev/reload.js"></script>'
SCRIPT = """
async function look() {
    const answer = await fetch("/dev/process").then((r) => r.text(), () => "PROCESS"); // none: it is being started
    answer === "PROCESS" ? setTimeout(look, 500) : location.reload();
}
look();
""".replace("PROCESS", PROCESS)


class LiveReload:
    """Puts the script at the end of every page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answers = {"/dev/process": (PROCESS, "text/plain"), "/dev/reload.js": (SCRIPT, "text/javascript")}
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] in answers:
            content, media_type = answers[scope["path"]]
            await Response(content, media_type=media_type)(scope, receive, send)
        else:
            plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            await self.app({**scope, "headers": plain}, receive, _adding(send))


def _adding(send: Send) -> Send:
    is_page = False

    async def add(message: Message) -> None:
        nonlocal is_page
        if message["type"] == "http.response.start":
            is_page = any(n == b"content-type" and v.startswith(b"text/html") for n, v in message["headers"])
            if is_page:
                message["headers"] = [(n, v) for n, v in message["headers"] if n != b"content-length"]
        elif is_page and not message.get("more_body"):
            message["body"] = message.get("body", b"") + TAG
        await send(message)

    return add


logging.getLogger("uvicorn.access").disabled = True
app = LiveReload(dashboard)
