"""Figures for Prometheus: counted as things happen, or asked of the database when somebody looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
REGISTRY = CollectorRegistry()
REQUESTS = Counter("postroom_api_requests_total", "Calls of the API", ["method", "route", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "postroom_api_request_seconds", "How long calls took", ["method", "route"], registry=REGISTRY
)
PUSH_SECONDS = Histogram(
    "postroom_push_seconds",
    "How long pushes to mail servers took",
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


def note_request(method: str, route: str, status: int, seconds: float) -> None:
    method = method if method in METHODS else "other"
    REQUESTS.labels(method, route, status).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)


@contextmanager
def timed_push() -> Iterator[None]:
    started = perf_counter()
    try:
        yield
    finally:
        PUSH_SECONDS.observe(perf_counter() - started)
