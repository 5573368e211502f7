"""The one running product of this process."""

from threading import Lock

from provision.bootstrap import Postroom, open_postroom

_lock = Lock()
_app: Postroom | None = None


def postroom() -> Postroom:
    """Opened when first asked for."""
    global _app
    with _lock:
        if _app is None:
            _app = open_postroom()
        return _app


def use(app: Postroom | None) -> None:
    """Put another product in its place; None: open it anew when next asked for."""
    global _app
    with _lock:
        _app = app
