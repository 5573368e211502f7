"""Who is signed in, for pages and for HTTP routes; and the way of a token into an HttpOnly cookie.

Only an HTTP response can set such a cookie, and a Streamlit script has none. So the script hands the browser a
one-time ticket; the route `/auth/session` takes it back from the same browser and sets the cookie.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from urllib.parse import urlencode, urlsplit

import streamlit as st
from starlette.requests import HTTPConnection
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

from provision.core.secret import Secret
from provision.identity.sign_in import SignedIn
from provision.telemetry import serverlog
from webui.http.base_path import url_for
from webui.http.running import postroom

COOKIE = "__Host-postroom"
XSRF_COOKIE = "_streamlit_xsrf"
TEST_TOKEN = "_session_token"  # where AppTest puts a token: it has no cookies
TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ticket:
    token: Secret
    browser: str
    expires: float


_looker: ContextVar[tuple[SignedIn | None] | None] = ContextVar("looker", default=None)
_numbered: ContextVar[tuple[object, str]] = ContextVar("numbered", default=(None, ""))
_tickets: dict[str, Ticket] = {}
_tickets_lock = Lock()


# ---- of a Streamlit run --------------------------------------------------------------------


@contextmanager
def whole_run() -> Iterator[SignedIn | None]:
    """One run of the whole dashboard: who looks at it is looked up once, and holds until the run ends."""
    who = _looked_up(seen=True)
    before = _looker.set((who,))
    try:
        yield who
    finally:
        _looker.reset(before)


def current(*, seen: bool = True) -> SignedIn | None:
    """Who looks at this page. A dialog or fragment that runs by itself looks it up anew each time it asks.

    `seen` False: the page refreshes itself.
    """
    known = _looker.get()
    return known[0] if known else _looked_up(seen=seen)


def _looked_up(*, seen: bool) -> SignedIn | None:
    token = st.session_state.get(TEST_TOKEN) or cookie(COOKIE)
    who = postroom().sign_in.current(Secret(token), ip_address(), seen=seen) if token else None
    serverlog.begin(run_id=_run_id(), ip=ip_address(), operator=who.actor.name if who else None)
    return who


def _run_id() -> str:
    """One for each run; a run of Streamlit begins with new cursors."""
    context = get_script_run_ctx()
    run = context.cursors if context else None
    if run is None or _numbered.get()[0] is not run:
        _numbered.set((run, secrets.token_hex(8)))
    return _numbered.get()[1]


def cookie(name: str) -> str:
    """A cookie of the connection; AppTest has none, but mocks."""
    value = st.context.cookies.get(name)
    return value if isinstance(value, str) else ""


def ip_address() -> str:
    """Streamlit says None for this machine."""
    value = st.context.ip_address
    return value if isinstance(value, str) else "127.0.0.1"


def user_agent() -> str:
    value = st.context.headers.get("User-Agent")
    return value if isinstance(value, str) else ""


def begin(token: Secret) -> None:
    """Send the browser to fetch its cookie, and back to where it is."""
    ticket = secrets.token_urlsafe(32)
    now = time.monotonic()
    with _tickets_lock:
        for old in [name for name, kept in _tickets.items() if kept.expires < now]:
            del _tickets[old]
        _tickets[ticket] = Ticket(token, cookie(XSRF_COOKIE), now + TICKET_SECONDS)
    go_to(url_for("/auth/session?") + urlencode({"ticket": ticket, "next": here()}))


def end(who: SignedIn) -> None:
    """Sign out, in all tabs; the browser drops its cookie."""
    postroom().sign_in.sign_out(who)
    st.session_state.clear()
    go_to(url_for("/auth/logout"))


def here() -> str:
    """Path and query of the page, to come back to."""
    url = st.context.url
    parts = urlsplit(url if isinstance(url, str) else "")
    query = urlencode(st.query_params.to_dict(), doseq=True)
    return (parts.path or url_for("/")) + (f"?{query}" if query else "")


def go_to(url: str) -> None:
    """Leave the page, as `st.login` does: the one way to that the content security policy allows."""
    message = ForwardMsg()
    message.auth_redirect.url = url
    context = get_script_run_ctx()
    if context:
        context.enqueue(message)


# ---- of an HTTP request --------------------------------------------------------------------


def redeem(ticket: str, browser: str) -> Secret | None:
    """The token, once, in time, and only for the browser that signed in."""
    with _tickets_lock:
        kept = _tickets.pop(ticket, None)
    if kept is None or kept.expires < time.monotonic():
        return None
    same = secrets.compare_digest(kept.browser.encode(), browser.encode())
    return kept.token if same and browser else None  # without a cookie any browser would be the same


def of_request(request: HTTPConnection) -> SignedIn | None:
    token = request.cookies.get(COOKIE)
    ip = request.client.host if request.client else None
    return postroom().sign_in.current(Secret(token), ip) if token else None


def local_path(url: str) -> str:
    """A place on this site; anything else becomes the start page."""
    harmless = url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable()
    return url if harmless and "\\" not in url else url_for("/")
