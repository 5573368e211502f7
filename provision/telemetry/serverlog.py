"""The log of a running process: one event a line, as text or JSON, with the request and the operator it belongs to.

Secrets stay out in three ways: a `Secret` prints as `***`, a field that is called like one is blanked, and tracebacks
are written without the values of variables, among which passwords would be.
"""

import secrets
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from provision.core.errors import ProvisionError
from provision.core.texts import N_

SECRET_WORDS = ("password", "secret", "token", "hash", "cookie", "authorization", "sealed")
ORDER = ["timestamp", "level", "event"]
FRAMES = 8  # of a traceback, the innermost
log = structlog.get_logger(__name__)


def unexpected(event: str, error: Exception, **facts: str) -> str:
    """Log a fault of ours; returns the number that people are told.

    The place of the fault is written, but not its text, which could hold a secret.
    """
    number = secrets.token_hex(4)
    trace = "".join(traceback.format_tb(error.__traceback__)[-FRAMES:])
    log.error(event, error_id=number, type=type(error).__name__, trace=trace, **facts)
    return number


def sentence(event: str, error: Exception) -> str:
    """Why something failed in the background, for whoever asked for it."""
    if isinstance(error, ProvisionError):
        return error.message
    number = unexpected(event, error)
    return N_(f"Something went wrong. The log tells more under the number {number}.")


def configure(style: str = "text", file: TextIO | None = None) -> None:
    """`style`: `text` (logfmt) or `json`; `file`: standard output where none is given."""
    show = structlog.processors.JSONRenderer(default=str, ensure_ascii=False) if style == "json" else _text()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            blank_secrets,
            structlog.processors.format_exc_info,
            show,
        ],
        logger_factory=structlog.WriteLoggerFactory(file or sys.stdout),
        cache_logger_on_first_use=False,
    )


def _text() -> structlog.types.Processor:
    """Logfmt leaves line breaks as they are; within a value they would forge lines."""
    logfmt = structlog.processors.LogfmtRenderer(key_order=ORDER, bool_as_flag=False)

    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        words = {_word(key): value for key, value in event.items()}
        return str(logfmt(logger, name, words)).replace("\r", "\\r").replace("\n", "\\n")

    return render


def _word(key: str) -> str:
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in key)


def blank_secrets(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Whatever is called like a secret is not written."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "***"
    return event


def begin(**facts: str | None) -> None:
    """From here on, in this thread or task, every event says these facts, and no others."""
    structlog.contextvars.clear_contextvars()
    add(**facts)


def add(**facts: str | None) -> None:
    """Facts that came to be known, such as the operator."""
    structlog.contextvars.bind_contextvars(**{name: value for name, value in facts.items() if value is not None})
