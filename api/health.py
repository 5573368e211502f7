"""Health for everybody, metrics for Prometheus, and the call of a cron job."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from api import reports
from api.auth import MayPull, Product, address, bearer
from api.errors import answer
from api.idempotency import IdempotencyKey, OnceRoute
from provision.app import Postroom
from provision.core.access import Actor, Permission
from provision.core.errors import AccessDenied, ProvisionError
from provision.core.state import Resource
from provision.jobs.loop import Jobs
from provision.ops import health
from provision.storage.models import SyncStatus, utc_now
from provision.telemetry import metrics

router = APIRouter(tags=["health"], route_class=OnceRoute)
UNHEALTHY: dict[int | str, dict[str, Any]] = {503: {"model": reports.Health, "description": "It does not work now."}}
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/provision/health", response_model=reports.Health, response_model_exclude_none=True, responses=UNHEALTHY)
def get_health(product: Product, request: Request) -> Any:
    """Without a token. A mail server that is down is a detail: changes wait for it."""
    found = health.look(product, jobs_alive=request.app.state.jobs_alive())
    return JSONResponse(found.body(), 503 if found.error else 200)


@router.get("/cron/auto-import", response_model=reports.AutoImport, operation_id="auto_import")
def auto_import(product: Product, actor: MayPull) -> Any:
    """Import from each mail server whose last import is AUTO_IMPORT_INTERVAL ago; for a token of all domains."""
    actor.require_everywhere()
    claimed = set(Jobs(product).auto_import(actor=actor))
    servers = [row["name"] for row in product.queries.health(Actor.system("cron")) if row["id"] in claimed]
    return {"servers": servers, "enabled": product.services.policy.now().enable_auto_import}


@router.post("/cron/auto-import", response_model=reports.AutoImport, operation_id="auto_import_by_post")
def auto_import_by_post(product: Product, actor: MayPull, key: IdempotencyKey = None) -> Any:
    """The same as GET."""
    return auto_import(product, actor)


# ---- metrics -------------------------------------------------------------------------------


class Figures(Collector):
    """What the database says at this moment."""

    def __init__(self, product: Postroom) -> None:
        self.queries = product.queries
        self.actor = Actor.system("metrics")

    def collect(self) -> Iterator[Metric]:
        counts = self.queries.counts(self.actor)
        yield _gauge(
            "mailboxes", "Mailboxes by status", "status", _of(counts, "mailbox", ("ACTIVE", "DISABLED", "DELETED"))
        )
        for kind in Resource:
            words = tuple(SyncStatus)
            yield _gauge(f"{kind}_sync", f"How far each {kind} has come", "sync_status", _of(counts, kind, words))
        servers = self.queries.health(self.actor)
        yield _gauge("server_up", "Whether it answers", "server", {s["name"]: float(not s["error"]) for s in servers})
        yield _gauge(
            "server_alarm",
            "Whether it waits for a person",
            "server",
            {s["name"]: float(bool(s["alarm"])) for s in servers},
        )
        lags = {s["name"]: _seconds_since(s["last_read_at"]) for s in servers if s["last_read_at"]}
        yield _gauge("sync_lag_seconds", "Since the server was last read", "server", lags)
        age = GaugeMetricFamily("postroom_queue_age_seconds", "Age of the oldest change that waits")
        age.add_metric([], _seconds_since(self.queries.oldest_pending(self.actor)))
        yield age


def _gauge(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(f"postroom_{name}", text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _of(counts: dict[str, int], kind: str, words: tuple[str, ...]) -> dict[str, float]:
    return {str(word): float(counts.get(f"{kind}.{word}", 0)) for word in words}


def _seconds_since(when: datetime | None) -> float:
    return (utc_now() - when).total_seconds() if when else 0.0


def metrics_text(product: Postroom) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Figures(product))
    return generate_latest(metrics.REGISTRY) + generate_latest(registry)


def metrics_endpoint(product: Callable[[], Postroom]) -> Callable[[Request], Any]:
    """For `/metrics`: by a token of all domains with the scope sync:read, or where ALLOWED_NETWORKS is set."""

    async def endpoint(request: Request) -> Response:
        try:
            if not product().settings.networks:
                caller = await run_in_threadpool(
                    product().services.tokens.caller, bearer(request.headers), address(request.scope)
                )
                caller.actor.require(Permission.SYNC_READ)
                if caller.actor.domains is not None:
                    raise AccessDenied("The metrics are of all domains, and this token is kept to some.")
            return PlainTextResponse(await run_in_threadpool(metrics_text, product()), media_type=PROMETHEUS)
        except ProvisionError as error:
            return answer(error)

    return endpoint
