"""The requirements' list of the API, against the document it serves; and Prometheus' figures."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from api.app import create_api, document
from api.health import metrics_endpoint
from tests.api.conftest import Api

DOCUMENT = document(create_api(lambda: None))  # type: ignore[arg-type,return-value]
# P-API: method, path, filters or fields of the body that must be known.
REQUIRED = [
    ("post", "/mailboxes", {"email", "password", "displayName", "storageQuota"}),
    ("get", "/mailboxes", {"domain", "status", "syncStatus", "page", "pageSize"}),
    ("get", "/mailboxes/{id}", {"id"}),
    ("delete", "/mailboxes/{id}", {"id", "force"}),
    ("patch", "/mailboxes/{id}/disable", {"id"}),
    ("patch", "/mailboxes/{id}/enable", {"id"}),
    ("post", "/mailboxes/{id}/reset-password", {"id", "password"}),
    ("patch", "/mailboxes/{id}/quota", {"storageQuota", "messageQuota"}),
    ("post", "/aliases", {"aliasAddress", "destinations", "mailboxId"}),
    ("get", "/aliases", {"mailboxId", "page", "pageSize"}),
    ("delete", "/aliases/{id}", {"id"}),
    ("post", "/sync/pull", {"force"}),
    ("post", "/sync/push/{id}", {"id"}),
    ("get", "/sync/status", set()),
    ("get", "/logs", {"operation", "resourceType", "status", "startDate", "endDate", "page", "pageSize"}),
    ("post", "/verify-credentials", {"email", "password"}),
]
ANSWERS = {
    "Mailbox": {
        "id",
        "email",
        "domain",
        "displayName",
        "status",
        "syncStatus",
        "lastSyncedAt",
        "syncError",
        "syncAdvice",
        "nextAttemptAt",
        "createdAt",
        "updatedAt",
    },
    "Alias": {"id", "aliasAddress", "destinations", "mailboxId", "syncStatus", "lastSyncedAt", "syncError"},
    "Domain": {"name", "description", "userCount", "totalQuota", "defaultQuota"},
    "PullAnswer": {"success", "imported", "updated", "errors"},
    "LogRecord": {
        "operatorId",
        "ip",
        "operation",
        "resourceType",
        "resourceId",
        "payload",
        "command",
        "status",
        "exitCode",
        "stdout",
        "stderr",
        "error",
        "startedAt",
        "completedAt",
        "durationMs",
    },
    "Health": {"status", "service", "version", "database", "error"},
    "Error": {"error", "code", "details"},
}


def names_of(schema: dict[str, object]) -> set[str]:
    """Fields of a body, also where it may be left out."""
    text = str(schema)
    return {
        field
        for name, known in DOCUMENT["components"]["schemas"].items()
        if f"schemas/{name}'" in text
        for field in known.get("properties", {})
    }


@pytest.mark.parametrize(
    ("method", "path", "names"), REQUIRED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_path_is_there_with_its_names(method: str, path: str, names: set[str]) -> None:
    operation = DOCUMENT["paths"][f"/provision{path}"][method]
    known = {parameter["name"] for parameter in operation.get("parameters", [])}
    known |= names_of(operation.get("requestBody", {}))
    assert names <= known


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_has_its_fields(name: str) -> None:
    assert set(DOCUMENT["components"]["schemas"][name]["properties"]) >= ANSWERS[name]


def test_cron_calls_by_either_method() -> None:
    assert set(DOCUMENT["paths"]["/cron/auto-import"]) == {"get", "post"}


def test_every_post_takes_an_idempotency_key() -> None:
    for path, methods in DOCUMENT["paths"].items():
        if "post" in methods:
            assert "Idempotency-Key" in {p["name"] for p in methods["post"]["parameters"]}, path


def test_metrics_are_for_tokens(api: Api) -> None:
    api.add("anna@example.com")
    api.ok("GET", "/mailboxes")
    scrape = TestClient(Starlette(routes=[Route("/metrics", metrics_endpoint(lambda: api.world.app))]))
    assert scrape.get("/metrics").status_code == 401
    few = {"Authorization": f"Bearer {api.make_token('few', 'alias:read')}"}
    assert scrape.get("/metrics", headers=few).status_code == 403
    one = {"Authorization": f"Bearer {api.make_token('one', 'sync:read', domains=['example.com'])}"}
    assert scrape.get("/metrics", headers=one).status_code == 403
    text = scrape.get("/metrics", headers={"Authorization": f"Bearer {api.token}"}).text
    for line in (
        'postroom_mailboxes{status="ACTIVE"} 1.0',
        'postroom_mailbox_sync{sync_status="SYNCED"} 1.0',
        'postroom_mailbox_sync{sync_status="FAILED"} 0.0',
        'postroom_server_up{server="main"} 1.0',
        "postroom_queue_age_seconds 0.0",
        "postroom_push_seconds_count",
        'route="/provision/mailboxes",status="200"',
        'postroom_sync_lag_seconds{server="main"}',
    ):
        assert line in text, line
