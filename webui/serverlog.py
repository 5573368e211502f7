"""The server's log: one line per event on standard output, tracebacks without the values of variables."""

import structlog


def configure() -> None:
    """structlog's own default prints local variables in tracebacks, among them passwords."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        cache_logger_on_first_use=False,
    )
