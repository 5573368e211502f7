"""Connections that keep the server waiting: who does not send on is let go, and never more wait than files can be open.

uvicorn 0.5 has no limit of either kind, and Streamlit starts it without asking us; so the class that it makes for each
connection learns it here, once, before the first one comes. Source: `uvicorn.protocols.http.h11_impl`.
"""

import asyncio
import errno
import resource
import time
from collections.abc import Callable
from typing import Any

import structlog
from uvicorn.protocols.http.auto import AutoHTTPProtocol

log = structlog.get_logger(__name__)

HEAD_SECONDS = 15.0  # for the head of a request, all of it
FILES = 65_536  # that one process needs at most, however many it may have
RESERVED = 200  # of them are for the database, the mail servers and the pages
TOLD_EVERY = 60.0  # seconds


class HalfSent:
    """Connections of which the rest of a head is awaited, those that wait longest first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._timers: dict[Any, asyncio.TimerHandle] = {}

    def look(self, connection: Any) -> None:
        """It is new, or has sent something."""
        is_answered = connection.cycle is None or connection.cycle.response_complete
        if not is_answered or connection.transport.get_protocol() is not connection:  # it has become a websocket
            self.forget(connection)
        elif connection not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[connection] = loop.call_later(HEAD_SECONDS, self.end, connection)
            if len(self._timers) > self.most:
                self.end(next(iter(self._timers)))

    def forget(self, connection: Any) -> None:
        if timer := self._timers.pop(connection, None):
            timer.cancel()

    def end(self, connection: Any) -> None:
        self.forget(connection)
        connection.transport.abort()


def watch_connections() -> None:
    """From now on, and in this event loop."""
    half_sent = HalfSent(max(16, _raise_file_limit() - RESERVED) // 2)
    _after("connection_made", half_sent.look)
    _after("data_received", half_sent.look)
    _after("connection_lost", half_sent.forget)
    asyncio.get_running_loop().set_exception_handler(_Told())


def _after(name: str, then: Callable[[Any], None]) -> None:
    before = getattr(AutoHTTPProtocol, name)
    before = getattr(before, "untold", before)  # a second start in one process

    def call(self: Any, *args: Any) -> None:
        before(self, *args)
        then(self)

    call.untold = before  # type: ignore[attr-defined]
    setattr(AutoHTTPProtocol, name, call)


def _raise_file_limit() -> int:
    """As far as we may without asking; how many files may be open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return FILES if soft == resource.RLIM_INFINITY else soft


class _Told:
    """asyncio tells of each connection that it cannot take, 2,000 times in a row; once a minute is enough."""

    def __init__(self) -> None:
        self.last = -TOLD_EVERY

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif time.monotonic() - self.last >= TOLD_EVERY:
            self.last = time.monotonic()
            log.warning("too many open files: connections wait", limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
