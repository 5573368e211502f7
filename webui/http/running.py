"""The one running product of this process, and its background work."""

from threading import Lock

from provision.app import Postroom, open_postroom
from provision.jobs.loop import Jobs

_lock = Lock()
_app: Postroom | None = None
_jobs: Jobs | None = None


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


def watch(jobs: Jobs | None) -> None:
    """The background work whose health is told; None: this process has none."""
    global _jobs
    _jobs = jobs


def jobs_alive() -> bool | None:
    """Whether it runs; None where this process has none."""
    return _jobs.is_alive if _jobs else None
