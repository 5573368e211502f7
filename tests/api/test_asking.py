"""How things are asked for: parameters, pages, addresses in paths, slashes, HEAD, times, numbers, odd paths."""

from typing import Any

import pytest

from api.app import api_routes, create_api
from api.auth import OPEN
from tests.api.conftest import Api

CSV = b"email,password\nzoe@example.com,Correct-Horse-1\n"
GETS = sorted(
    path
    for path, method, _ in api_routes(create_api(lambda: None))  # type: ignore[arg-type,return-value]
    if method == "get" and "{" not in path and "cron" not in path and "stream" not in path
)


# ---- parameters ----------------------------------------------------------------------------


def test_a_dry_run_by_another_name_imports_nothing(api: Api) -> None:
    refused = api.refused("POST", "/mailboxes/import?dry_run=true", 400, "INVALID_INPUT", content=CSV)
    assert "dryRun" in refused["error"]
    assert (api.ok("GET", "/mailboxes")["total"], api.world.text()) == (0, "")


@pytest.mark.parametrize(
    ("method", "path", "near"),
    [
        ("GET", "/mailboxes?email=anna@example.com", "search"),
        ("GET", "/mailboxes?sync_status=FAILED", "syncStatus"),
        ("GET", "/mailboxes?page_size=5", "pageSize"),
        ("GET", "/mailboxes?serach=anna", "search"),
        ("GET", "/aliases?mailbox-id=7", "mailboxId"),
        ("GET", "/mailboxes/export?Domain=example.com", "domain"),
        ("GET", "/logs?start_date=2026-11-21", "startDate"),
        ("GET", "/sync/preview?sever=main", "server"),
        ("GET", "/domains?search=example", "takes none"),
        ("DELETE", "/mailboxes/anna@example.com?erase_mail=true", "eraseMail"),
        ("DELETE", "/mailboxes/anna@example.com?Force=true", "force"),
        ("POST", "/sync/push?sever=main", "server"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_with_the_nearest(api: Api, method: str, path: str, near: str) -> None:
    api.add("anna@example.com")
    before = api.world.text()
    assert near in api.refused(method, path, 400, "INVALID_INPUT")["error"]
    assert api.world.text() == before


def test_health_may_be_asked_with_anything(api: Api) -> None:
    assert api("GET", "/health?cache=4711").status_code in (200, 503)


def test_every_route_refuses_what_it_does_not_know(api: Api) -> None:
    for path in GETS:
        if path not in OPEN:
            api.refused("GET", f"/api{path}?nonsense=1", 400, "INVALID_INPUT")


# ---- pages ---------------------------------------------------------------------------------


def test_past_the_end_there_is_nothing(api: Api) -> None:
    for name in "abc":
        api.add(f"{name}@example.com")
        alias = {"aliasAddress": f"to-{name}@example.com", "destinations": [f"{name}@example.com"]}
        api.ok("POST", "/aliases", 201, json=alias)
    for path, many in (("/mailboxes", 3), ("/aliases", 3), ("/logs", None), ("/sync/status", 0)):
        total = api.ok("GET", f"{path}?pageSize=2")["total"]
        seen: list[Any] = []
        for number in range(1, 100):
            page = api.ok("GET", f"{path}?pageSize=2&page={number}")
            assert (page["page"], page["total"]) == (number, total)
            if not page["items"]:
                break
            seen += page["items"]
        assert len(seen) == total
        assert many in (total, None)
        assert api.ok("GET", f"{path}?pageSize=2&page=1000000")["items"] == []


# ---- addresses -----------------------------------------------------------------------------


def test_a_mailbox_is_found_by_its_address(api: Api) -> None:
    uid = str(api.add("anna@example.com").uid)
    for spelling in ("anna@example.com", "Anna@Example.COM", "anna%40example.com"):
        assert api.ok("GET", f"/mailboxes/{spelling}")["id"] == uid
    tag = api("GET", "/mailboxes/anna@example.com").headers["ETag"]
    edited = api.ok("PATCH", "/mailboxes/anna@example.com", json={"displayName": "A"}, headers={"If-Match": tag})
    assert edited["displayName"] == "A"
    assert api.ok("PATCH", "/mailboxes/anna@example.com/disable")["status"] == "DISABLED"
    assert api.ok("DELETE", "/mailboxes/anna@example.com")["id"] == uid
    api.refused("GET", "/mailboxes/nobody@example.com", 404, "MAILBOX_NOT_FOUND")
    api.refused("GET", "/mailboxes/no-address", 400, "INVALID_EMAIL")


def test_an_alias_is_found_by_its_address(api: Api) -> None:
    api.add("anna@example.com")
    for address in ("info@example.com", "@example.com"):
        made = api.ok("POST", "/aliases", 201, json={"aliasAddress": address, "destinations": ["anna@example.com"]})
        assert api.ok("GET", f"/aliases/{address}")["id"] == made["id"]
    assert api.ok("DELETE", "/aliases/info@example.com")["syncStatus"] == "SYNCED"
    api.refused("GET", "/aliases/info@example.com", 404, "ALIAS_NOT_FOUND")


def test_a_foreign_address_is_as_one_that_is_not_there(api: Api, com_token: str) -> None:
    api.add("dora@example.org")
    answers = [api("GET", f"/mailboxes/{a}@example.org", token=com_token) for a in ("dora", "nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


# ---- paths and methods ---------------------------------------------------------------------


def test_a_slash_at_the_end_is_not_missed(api: Api) -> None:
    made = api.ok("POST", "/mailboxes/", 201, json={"email": "anna@example.com", "password": "Correct-Horse-1"})
    assert api.ok("GET", f"/mailboxes/{made['id']}/")["email"] == "anna@example.com"
    for path in GETS:
        assert api("GET", f"/api{path}/").status_code == api("GET", f"/api{path}").status_code, path
    assert api.http.get("/api/provision/mailboxes/").status_code == 401


def test_head_is_get_without_the_body(api: Api) -> None:
    uid = api.add("anna@example.com").uid
    for path in ("/mailboxes", f"/mailboxes/{uid}", "/domains", "/health"):
        answer, whole = api("HEAD", path), api("GET", path)
        assert (answer.status_code, answer.content) == (whole.status_code, b"")
        assert answer.headers.get("etag") == whole.headers.get("etag")
    assert api("HEAD", "/mailboxes/nobody@example.com").status_code == 404
    assert api("HEAD", "/mailboxes/bulk/delete").status_code == 405


@pytest.mark.parametrize(
    "path", ["/mailboxes%0A", "/mail%0Aboxes", "/mailboxes/%0A", "/domains/a%0Ab", "/%0D", "/a%00"]
)
def test_a_path_with_a_line_break_is_answered_in_the_one_shape(api: Api, path: str) -> None:
    api.refused("GET", path, 400, "INVALID_INPUT")
    assert api.http.get(f"/api/provision{path}").json()["code"] == "NOT_SIGNED_IN"


# ---- values --------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["T09:00:00.123456789Z", "T09:00:00.123456789+01:00", "T09:00:00.1234567", "T09:00"])
def test_a_time_may_have_nanoseconds(api: Api, clock: str) -> None:
    found = api.ok("GET", "/logs", params={"startDate": f"2020-11-21{clock}", "endDate": f"2099-11-21{clock}"})
    assert found["total"] > 0


@pytest.mark.parametrize("value", [False, True, "many"])
def test_yes_and_no_are_no_numbers(api: Api, value: Any) -> None:
    uid = api.add("anna@example.com").uid
    api.refused("PATCH", "/domains/example.com", 400, "INVALID_INPUT", json={"defaultQuota": value})
    api.refused("PATCH", f"/mailboxes/{uid}", 400, "INVALID_INPUT", json={"storageQuota": value})
    api.refused("PATCH", f"/mailboxes/{uid}/quota", 400, "INVALID_INPUT", json={"messageQuota": value})
    api.refused("PATCH", "/policy", 400, "INVALID_INPUT", json={"passwordMinLength": value})
    api.refused("PATCH", "/policy", 400, "INVALID_INPUT", json={"retryBaseSeconds": value})
    assert api.ok("GET", "/domains/example.com")["defaultQuota"] is None
