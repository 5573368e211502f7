"""Aliases, domains, sync, logs, audit, health, metrics: over HTTP."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from provision.core.access import Actor
from provision.storage.models import Server
from tests.api.conftest import PASSWORD, Api, client
from tests.conftest import HASH


def alias(api: Api, address: str = "info@example.com", **more: Any) -> Any:
    return api.ok("POST", "/aliases", 201, json={"aliasAddress": address, "destinations": ["anna@example.com"], **more})


# ---- aliases -------------------------------------------------------------------------------


def test_the_life_of_an_alias(api: Api) -> None:
    anna = str(api.add("anna@example.com").uid)
    made = alias(api)
    assert (made["aliasAddress"], made["mailboxId"], made["mailbox"], made["syncStatus"]) == (
        "info@example.com",
        anna,
        "anna@example.com",
        "SYNCED",
    )
    assert api.world.text("postfix-virtual.cf") == "info@example.com anna@example.com\n"
    assert api.ok("GET", f"/aliases?mailboxId={anna}")["total"] == 1
    assert api.ok("GET", "/aliases?domain=example.org")["total"] == 0
    tag = api("GET", f"/aliases/{made['id']}").headers["ETag"]
    edit = {"destinations": ["anna@example.com", "x@elsewhere.test"]}
    assert (
        api.ok("PATCH", f"/aliases/{made['id']}", json=edit, headers={"If-Match": tag})["destinations"]
        == edit["destinations"]
    )
    api.refused("PATCH", f"/aliases/{made['id']}", 412, "EDIT_CONFLICT", json=edit, headers={"If-Match": tag})
    api.refused(
        "POST",
        "/aliases",
        409,
        "DUPLICATE_ALIAS",
        json={"aliasAddress": "info@example.com", "destinations": ["a@b.example"]},
    )
    assert api.ok("DELETE", f"/aliases/{made['id']}")["syncStatus"] == "SYNCED"
    assert api.ok("GET", f"/logs?resourceId={made['id']}&operation=alias.delete")["items"][0]["status"] == "SUCCESS"
    api.refused("GET", f"/aliases/{made['id']}", 404, "ALIAS_NOT_FOUND")


def test_foreign_aliases_and_owners_are_not_there(api: Api, com_token: str) -> None:
    dora = str(api.add("dora@example.org").uid)
    foreign = alias(api, "info@example.org")["id"]
    missing = "01a0b1c2-0000-7000-8000-00000000dead"
    for method, body in (("GET", None), ("PATCH", {"destinations": ["a@b.example"]}), ("DELETE", None)):
        answers = [api(method, f"/aliases/{uid}", json=body, token=com_token) for uid in (foreign, missing)]
        assert answers[0].status_code == 404
        assert answers[0].content == answers[1].content
    owners = [
        api(
            "POST",
            "/aliases",
            token=com_token,
            json={"aliasAddress": "a@example.com", "destinations": ["a@b.example"], "mailboxId": uid},
        )
        for uid in (dora, missing)
    ]
    assert owners[0].status_code == 404
    assert owners[0].content == owners[1].content
    made = alias(api, "to-dora@example.com", destinations=["dora@example.org"])
    assert made["mailbox"] == "dora@example.org"
    seen = api.ok("GET", f"/aliases/{made['id']}", token=com_token)
    assert (seen["mailbox"], seen["mailboxId"]) == (None, None)


# ---- domains and servers -------------------------------------------------------------------


def test_the_life_of_a_domain(api: Api) -> None:
    new = {"name": "new.example.net", "server": "main", "description": "New", "defaultQuota": 300}
    made = api.ok("POST", "/domains", 201, json=new)
    assert (made["name"], made["defaultQuota"], made["userCount"], made["totalQuota"]) == ("new.example.net", 300, 0, 0)
    assert (
        api.ok("POST", "/mailboxes", 201, json={"email": "a@new.example.net", "password": PASSWORD})["storageQuota"]
        == 300
    )
    seen = api("GET", "/domains/new.example.net")
    assert (seen.json()["userCount"], seen.json()["totalQuota"]) == (1, 300)
    tag = {"If-Match": seen.headers["ETag"]}
    edited = api.ok("PATCH", "/domains/new.example.net", json={"description": "Newer"}, headers=tag)
    assert (edited["description"], edited["defaultQuota"]) == ("Newer", 300)
    api.refused("PATCH", "/domains/new.example.net", 412, "EDIT_CONFLICT", json={"description": "x"}, headers=tag)
    assert api.ok("PATCH", "/domains/new.example.net", json={"defaultQuota": None})["defaultQuota"] is None
    api.refused("DELETE", "/domains/new.example.net", 409, "DOMAIN_NOT_EMPTY")
    api.refused("POST", "/domains", 409, "DUPLICATE_DOMAIN", json=new)
    assert [d["name"] for d in api.ok("GET", "/domains")] == ["example.com", "example.org", "new.example.net"]
    api.ok("DELETE", "/domains/example.org", 204)


def test_a_domain_is_found_however_it_is_written(api: Api) -> None:
    api.ok("POST", "/domains", 201, json={"name": "münchen.de", "server": "main"})
    made = api.ok("POST", "/mailboxes", 201, json={"email": "anna@münchen.de", "password": PASSWORD})
    for spelling in ("münchen.de", "MÜNCHEN.de", "xn--mnchen-3ya.de"):
        assert api.ok("GET", f"/domains/{spelling}")["userCount"] == 1
        assert [row["id"] for row in api.ok("GET", f"/mailboxes?domain={spelling}")["items"]] == [made["id"]]
    assert api.ok("PATCH", "/domains/München.de", json={"description": "x"})["description"] == "x"
    api.ok("DELETE", f"/mailboxes/{made['id']}?force=true")
    api.ok("DELETE", "/domains/münchen.de", 204)
    api.refused("GET", "/domains/no domain", 404, "DOMAIN_NOT_FOUND")
    assert api.ok("GET", "/mailboxes?domain=no domain")["items"] == []


def test_a_foreign_domain_is_not_there(api: Api, com_token: str) -> None:
    assert [d["name"] for d in api.ok("GET", "/domains", token=com_token)] == ["example.com"]
    answers = [api("GET", f"/domains/{name}", token=com_token) for name in ("example.org", "example.net")]
    assert answers[0].status_code == 404
    assert answers[0].content == answers[1].content


def test_servers_tell_how_they_are_and_no_settings(api: Api) -> None:
    api.add("anna@example.com")
    (server,) = api.ok("GET", "/servers")
    assert (server["name"], server["kind"], server["pending"], server["error"]) == ("main", "dms_files", 0, None)
    assert str(api.world.volume) not in json.dumps(server)


# ---- sync ----------------------------------------------------------------------------------


def test_pull_preview_and_resolve(api: Api) -> None:
    api.add("anna@example.com", quota_bytes=5 << 20)
    api.world.write(api.world.text() + f"ben@example.com|{HASH.reveal()}\n")
    api.world.write("anna@example.com:9M\n", "dovecot-quotas.cf")
    seen = api.ok("GET", "/sync/preview")
    assert (seen["counts"]["unknown"], seen["counts"]["differs"]) == (1, 1)
    (differs,) = seen["entries"]["differs"]
    assert (differs["address"], differs["ours"]["storageQuota"], differs["theirs"]["storageQuota"]) == (
        "anna@example.com",
        5,
        9,
    )
    pulled = api.ok("POST", "/sync/pull")
    assert (pulled["success"], pulled["imported"], pulled["updated"], pulled["errors"]) == (True, 1, 0, [])
    item = {"resourceType": "mailbox", "address": "anna@example.com"}
    assert api.ok("POST", "/sync/resolve", json={"winner": "server", "items": [item]}) == {"resolved": 1}
    assert api.ok("GET", "/mailboxes?search=anna")["items"][0]["storageQuota"] == 9
    api.refused("POST", "/sync/resolve", 404, "NO_DIFFERENCE", json={"winner": "server", "items": [item]})
    api.world.write("anna@example.com:7M\n", "dovecot-quotas.cf")
    assert api.ok("POST", "/sync/pull", json={"force": True, "server": "main"})["updated"] == 1


def test_a_pull_of_a_server_that_is_away_is_503(api: Api) -> None:
    api.world.volume.rename(api.world.volume.with_name("away"))
    api.refused("POST", "/sync/pull", 503, "SERVER_UNREACHABLE")
    api.refused("GET", "/sync/preview", 503, "SERVER_UNREACHABLE")
    assert api.ok("POST", "/sync/push") == {"retried": 0, "pending": 0, "failed": 0}


def test_differences_of_foreign_domains_cannot_be_told_apart(api: Api, com_token: str) -> None:
    api.add("dora@example.org", quota_bytes=5 << 20)
    api.world.write("dora@example.org:9M\n", "dovecot-quotas.cf")
    assert api.ok("GET", "/sync/preview", token=com_token)["counts"]["differs"] == 0
    answers = [
        api(
            "POST",
            "/sync/resolve",
            token=com_token,
            json={"winner": "server", "items": [{"resourceType": "mailbox", "address": a}]},
        )
        for a in ("dora@example.org", "x@example.net")
    ]
    assert answers[0].status_code == 404
    assert answers[0].content == answers[1].content


def why(row: dict[str, Any]) -> tuple[str | None, bool, bool, bool]:
    """The code; whether there are a sentence, something that can be done, and a time of the next attempt."""
    return row["syncErrorCode"], *(bool(row[name]) for name in ("syncError", "syncAdvice", "nextAttemptAt"))  # type: ignore[return-value]


def test_what_waits_says_why_when_and_what_can_be_done(api: Api) -> None:
    anna = api.ok("POST", "/mailboxes", 201, json={"email": "anna@example.com", "password": PASSWORD})
    assert why(anna) == (None, False, False, False)
    path = f"/mailboxes/{anna['id']}"
    api.world.app.services.servers.edit(api.world.alice, api.world.server.uid, quiet_seconds=600)
    assert why(api.ok("PATCH", path + "/quota", json={"storageQuota": 9})) == ("GATHERING", True, True, True)
    api.world.app.services.servers.edit(api.world.alice, api.world.server.uid, quiet_seconds=0)
    api.world.volume.rename(api.world.volume.with_name("away"))
    assert why(api.ok("PATCH", path + "/quota", json={"storageQuota": 8})) == ("SERVER_UNREACHABLE", True, True, True)
    (listed,) = api.ok("GET", "/mailboxes?syncStatus=PENDING")["items"]
    (waiting,) = api.ok("GET", "/sync/status")["items"]
    assert listed["syncError"] == waiting["syncError"] == api.ok("GET", path)["syncError"]
    sent = api.ok("POST", f"/sync/push/{anna['id']}")
    gone = api.ok("DELETE", path + "?force=true")
    assert why(sent) == why(gone) == ("SERVER_UNREACHABLE", True, True, True)
    assert gone["syncError"] == f"To be removed: {waiting['syncError']}"
    assert "cannot be reached: There is no folder" in alias(api)["syncError"]


def test_under_the_alarm_the_next_step_is_named(api: Api) -> None:
    for number in range(12):
        api.add(f"user{number}@example.com")
    api.world.write("")
    anna = api.ok("POST", "/mailboxes", 201, json={"email": "anna@example.com", "password": PASSWORD})
    assert why(anna) == ("UNSAFE_PLAN", True, True, False)
    assert "halted" in anna["syncError"]
    assert "preview" in anna["syncAdvice"]


# ---- logs and audit ------------------------------------------------------------------------


@pytest.mark.both_databases
def test_logs_by_filter_page_and_stream(api: Api, com_token: str) -> None:
    api.add("anna@example.com")
    api.add("dora@example.org")
    first = api.ok("GET", "/logs?operation=mailbox.create&pageSize=1")
    assert (first["total"], first["items"][0]["resourceName"]) == (2, "dora@example.org")
    assert api.ok("GET", "/logs?resourceType=mailbox&status=SUCCESS&startDate=2020-01-01")["total"] == 2
    assert api.ok("GET", "/logs?endDate=2020-01-01")["total"] == 0
    today = first["items"][0]["startedAt"][:10]
    assert api.ok("GET", f"/logs?operation=mailbox.create&startDate={today}&endDate={today}")["total"] == 2
    answer = api("GET", "/logs/stream?operation=mailbox.create")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["resourceName"] for line in answer.text.splitlines()] == [
        "anna@example.com",
        "dora@example.org",
    ]
    assert "dora@" not in api("GET", "/logs/stream", token=com_token).text
    api.refused("GET", f"/logs/{first['items'][0]['id']}", 404, "LOG_NOT_FOUND", token=com_token)


@pytest.mark.parametrize(("path", "table"), [("/logs/stream", "provision_log"), ("/mailboxes/export", "mailbox")])
def test_a_stream_that_cannot_be_begun_is_an_error(api: Api, path: str, table: str) -> None:
    with api.world.app.database.write() as session:
        session.execute(text(f"ALTER TABLE {table} RENAME TO elsewhere"))
    answer = api("GET", path)
    assert answer.status_code in (500, 503)
    assert answer.json().keys() == {"error", "code", "details"}


def test_the_audit_chain(api: Api) -> None:
    api.add("anna@example.com")
    head = api.ok("GET", "/audit/head")
    api.add("ben@example.com")
    report = api.ok("POST", "/audit/verify", json=head)
    assert (report["intact"], report["brokenAt"]) == (True, None)
    broken = api.ok("POST", "/audit/verify", json={**head, "head": "0" * 64})
    assert (broken["intact"], broken["brokenAt"]) == (False, head["links"])


# ---- health, metrics, cron, documents ------------------------------------------------------


def test_health_needs_no_token_and_tells_no_names(api: Api) -> None:
    body = api.http.get("/api/provision/health").json()
    assert (body["status"], body["database"], body["mailServers"]["reachable"]) == ("healthy", "connected", 1)
    assert "main" not in json.dumps(body)


def test_health_of_a_database_that_is_away_is_503(api: Api) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise OSError("the disk is gone")

    away = client(replace(api.world.app, database=Away()))  # type: ignore[arg-type]
    answer = away.get("/api/provision/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["database"]) == (503, "unhealthy", "unavailable")


def test_cron_imports_when_it_is_due(api: Api) -> None:
    api.world.write(f"ben@example.com|{HASH.reveal()}\n")
    assert api.ok("GET", "/api/cron/auto-import")["servers"] == ["main"]
    assert api.ok("POST", "/api/cron/auto-import")["servers"] == []
    (record,) = api.ok("GET", "/logs?operation=mailbox.import")["items"]
    assert (record["operator"], record["resourceName"]) == ("token:all", "ben@example.com")
    with api.world.app.database.read() as session:
        assert session.query(Server).one().last_import_at is not None


def test_a_token_of_one_domain_does_not_use_up_the_import_of_all(api: Api, com_token: str) -> None:
    for method in ("GET", "POST"):
        api.refused(method, "/api/cron/auto-import", 403, "INSUFFICIENT_PERMISSION", token=com_token)
    assert api.ok("GET", "/api/cron/auto-import")["servers"] == ["main"]


def test_a_token_of_one_domain_sees_its_own_server_without_counts_and_paths(api: Api, com_token: str) -> None:
    system, services = Actor.system("test"), api.world.app.services
    services.servers.create(system, "other", "dms_files", {"path": "/somewhere/else"})
    api.add("anna@example.com")
    api.add("ben@example.org")
    with api.world.app.database.write() as session:
        failing = {"error": f"There is no folder {api.world.volume}.", "alarm": "Of fifty-nine entries 45 are missing."}
        session.query(Server).update(failing)  # type: ignore[arg-type]
    (server,) = api.ok("GET", "/servers", token=com_token)
    assert (server["name"], server["accounts"]) == ("main", 1)
    assert str(api.world.volume) not in str(server)
    assert "fifty-nine" not in str(server)
    assert server["error"]
    assert server["alarm"]
    assert [row["name"] for row in api.ok("GET", "/servers")] == ["main", "other"]
    api.refused("POST", "/sync/pull", 404, "SERVER_NOT_FOUND", token=com_token, json={"server": "other"})


def test_the_document_is_complete_and_the_page_is_made_of_it(api: Api) -> None:
    document = api.http.get("/api/provision/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [(path, op) for path, methods in document["paths"].items() for op in methods.values()]
    for path, operation in operations:
        assert {"400", "401", "403", "404", "409", "412", "429", "503"} <= operation["responses"].keys(), path
    for name, schema in document["components"]["schemas"].items():
        for field in schema.get("properties", {}):
            assert field == field[0].lower() + field[1:], f"{name}.{field}"
            assert "_" not in field, f"{name}.{field}"
    page = api.http.get("/api/provision/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "http" not in page.text.replace("https://", "")
    assert all(path in page.text for path, _ in operations)


def test_what_keeps_mail_away_and_what_goes_along_is_in_the_answers(api: Api) -> None:
    anna = api.ok("POST", "/mailboxes", 201, json={"email": "anna@example.com", "password": PASSWORD})
    assert anna["warnings"] == []
    made = api.ok(
        "POST", "/aliases", 201, json={"aliasAddress": "info@example.com", "destinations": ["ana@example.com"]}
    )
    assert made["warnings"] == ["ana@example.com does not exist. Did you mean anna@example.com?"]
    edited = api.ok("PATCH", f"/aliases/{made['id']}", json={"destinations": ["anna@example.com"]})
    assert edited["warnings"] == []
    api.world.write("/@example\\.com$/ boss@elsewhere.net\n", "postfix-regexp.cf")
    ben = api.ok("POST", "/mailboxes", 201, json={"email": "ben@example.com", "password": PASSWORD})
    assert ben["warnings"][0].startswith("Mail for ben@example.com is decided by a rule in postfix-regexp.cf")
    assert api.ok("DELETE", f"/mailboxes/{anna['id']}?force=true")["removed"] == ["info@example.com"]
