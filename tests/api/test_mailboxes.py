"""Mailboxes over HTTP: the whole life of one, errors, filters, what is not one's own."""

from typing import Any

import pytest

from api.mailboxes import SORTS
from provision.queries import MAILBOX_SORTS
from tests.api.conftest import PASSWORD, Api
from tests.conftest import HASH, OTHER_HASH


def make(api: Api, email: str = "anna@example.com", **more: Any) -> Any:
    return api.ok("POST", "/mailboxes", 201, json={"email": email, "password": PASSWORD, **more})


def test_create_delivers_and_says_so(api: Api) -> None:
    answer = api(
        "POST",
        "/mailboxes",
        json={"email": "Anna@Example.com", "password": PASSWORD, "displayName": "Anna", "storageQuota": 500},
    )
    made = answer.json()
    assert answer.status_code == 201
    assert (made["email"], made["domain"], made["status"], made["syncStatus"]) == (
        "anna@example.com",
        "example.com",
        "ACTIVE",
        "SYNCED",
    )
    assert (made["storageQuota"], made["messageQuota"], made["displayName"]) == (500, None, "Anna")
    assert answer.headers["Location"] == f"/api/provision/mailboxes/{made['id']}"
    assert "anna@example.com|{SHA512-CRYPT}" in api.world.text()
    assert api.ok("GET", f"/mailboxes/{made['id']}")["email"] == "anna@example.com"
    record = api.ok("GET", f"/logs/{made['logId']}")
    assert (record["operator"], record["operation"], record["status"]) == ("token:all", "mailbox.create", "SUCCESS")
    assert PASSWORD not in str(record)


def test_each_change_names_its_own_record_and_no_change_names_none(api: Api) -> None:
    uid = make(api)["id"]
    same, wanted = {"displayName": ""}, {"displayName": "Anna"}
    assert api.ok("PATCH", f"/mailboxes/{uid}", json=same)["logId"] is None
    named = api.ok("PATCH", f"/mailboxes/{uid}", json=wanted)["logId"]
    assert api.ok("PATCH", f"/mailboxes/{uid}", json=wanted)["logId"] is None
    records = [named]
    for method, path in (
        ("PATCH", "/disable"),
        ("POST", "/reset-password"),
        ("DELETE", ""),
        ("POST", "/restore"),
        ("DELETE", "?force=true"),
    ):
        records.append(api.ok(method, f"/mailboxes/{uid}{path}")["logId"])
    assert [api.ok("GET", f"/logs/{record}")["operation"] for record in records] == [
        "mailbox.edit",
        "mailbox.disable",
        "mailbox.reset_password",
        "mailbox.delete",
        "mailbox.restore",
        "mailbox.delete",
    ]


def test_a_mail_server_that_is_away_fails_no_create(api: Api) -> None:
    api.world.volume.rename(api.world.volume.with_name("away"))
    made = make(api)
    assert made["syncStatus"] == "PENDING"
    assert api.ok("GET", f"/logs/{made['logId']}")["status"] == "PENDING"
    assert api.ok("GET", "/sync/status")["mailboxes"] == {"synced": 0, "pending": 1, "failed": 0}
    api.world.volume.with_name("away").rename(api.world.volume)
    assert api.ok("POST", f"/sync/push/{made['id']}")["syncStatus"] == "SYNCED"


def test_wait_gives_up_after_its_seconds(api: Api) -> None:
    api.world.volume.rename(api.world.volume.with_name("away"))
    answer = api("POST", "/mailboxes?wait=1", json={"email": "anna@example.com", "password": PASSWORD})
    assert answer.json()["syncStatus"] == "PENDING"
    assert answer.elapsed.total_seconds() > 0.9


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"email": "anna.example.com", "password": PASSWORD}, 400, "INVALID_EMAIL"),
        ({"email": "anna@example.com", "password": "short"}, 422, "WEAK_PASSWORD"),
        ({"email": "anna@example.com"}, 400, "PASSWORD_NEEDED"),
        ({"email": "anna@example.net", "password": PASSWORD}, 404, "DOMAIN_NOT_FOUND"),
        ({"password": PASSWORD}, 400, "INVALID_INPUT"),
        ({"email": "a@example.com", "password": PASSWORD, "quota": 3}, 400, "INVALID_INPUT"),
        ({"email": "a@example.com", "password": PASSWORD, "storageQuota": -1}, 400, "INVALID_INPUT"),
        ({"email": "a\0b@example.com", "password": PASSWORD}, 400, "INVALID_INPUT"),
    ],
)
def test_what_cannot_be_made(api: Api, given: dict[str, Any], status: int, code: str) -> None:
    body = api.refused("POST", "/mailboxes", status, code, json=given)
    assert PASSWORD not in str(body)


def test_twice_is_a_duplicate(api: Api) -> None:
    make(api)
    api.refused(
        "POST", "/mailboxes", 409, "DUPLICATE_MAILBOX", json={"email": "anna@example.com", "password": PASSWORD}
    )


def test_a_body_that_is_no_json(api: Api) -> None:
    api.refused("POST", "/mailboxes", 400, "INVALID_INPUT", content=b"{", headers={"content-type": "application/json"})


def test_edit_disable_enable_delete_restore(api: Api) -> None:
    uid = make(api)["id"]
    edited = api.ok("PATCH", f"/mailboxes/{uid}", json={"displayName": "Anna B.", "storageQuota": 2048})
    assert (edited["displayName"], edited["storageQuota"], edited["syncStatus"]) == ("Anna B.", 2048, "SYNCED")
    quota = api.ok("PATCH", f"/mailboxes/{uid}/quota", json={"storageQuota": 0, "messageQuota": 100})
    assert (quota["storageQuota"], quota["messageQuota"]) == (0, 100)
    assert api.ok("PATCH", f"/mailboxes/{uid}/disable")["status"] == "DISABLED"
    assert "fail=y" in api.world.text()
    assert api.ok("PATCH", f"/mailboxes/{uid}/enable")["status"] == "ACTIVE"
    assert api.ok("DELETE", f"/mailboxes/{uid}")["syncStatus"] == "SYNCED"
    assert api.ok("GET", f"/mailboxes/{uid}")["status"] == "DELETED"
    assert "fail=y" in api.world.text()
    api.refused("PATCH", f"/mailboxes/{uid}/enable", 409, "MAILBOX_DELETED")
    assert api.ok("POST", f"/mailboxes/{uid}/restore")["status"] == "ACTIVE"
    assert api.ok("DELETE", f"/mailboxes/{uid}?force=true")["syncStatus"] == "SYNCED"
    assert "anna@" not in api.world.text()


def test_a_login_is_kept_open_on_request_only(api: Api) -> None:
    uid = make(api)["id"]
    assert api.ok("DELETE", f"/mailboxes/{uid}?keepLogin=true")["loginOpen"] is True
    assert "fail=y" not in api.world.text()
    assert api.ok("GET", f"/mailboxes/{uid}")["loginOpen"] is True
    assert api.ok("DELETE", f"/mailboxes/{uid}")["loginOpen"] is False
    assert "fail=y" in api.world.text()
    api.ok("POST", f"/mailboxes/{uid}/restore")
    kept = api.ok("POST", "/mailboxes/bulk/delete", json={"ids": [uid], "keepLogin": True})
    assert (kept["done"], kept["leftOpen"]) == (1, ["anna@example.com"])
    assert api.ok("POST", "/mailboxes/bulk/delete", json={"ids": [uid]})["leftOpen"] == []
    api.refused("DELETE", f"/mailboxes/{uid}?keepLogin=true&force=true", 400, "INVALID_INPUT")


def test_reset_password_shows_a_generated_one_once(api: Api) -> None:
    uid = make(api)["id"]
    before = api.world.text()
    answer = api("POST", f"/mailboxes/{uid}/reset-password")
    made = answer.json()["oneTimePassword"]
    assert answer.headers["cache-control"] == "no-store"
    assert len(made) >= 8
    assert api.world.text() != before
    assert made not in str(api.ok("GET", "/logs"))
    given = api.ok("POST", f"/mailboxes/{uid}/reset-password", json={"password": "Other-Horse-2"})
    assert given["oneTimePassword"] is None
    api.refused("POST", f"/mailboxes/{uid}/reset-password", 422, "WEAK_PASSWORD", json={"password": "x"})


def test_a_stale_etag_changes_nothing(api: Api) -> None:
    uid = make(api)["id"]
    tag = api("GET", f"/mailboxes/{uid}").headers["ETag"]
    first = api("PATCH", f"/mailboxes/{uid}", json={"displayName": "One"}, headers={"If-Match": tag})
    assert first.status_code == 200
    assert first.headers["ETag"] != tag
    for method, path, body in (
        ("PATCH", "", {"displayName": "Two"}),
        ("PATCH", "/quota", {"storageQuota": 1}),
        ("PATCH", "/disable", None),
        ("DELETE", "", None),
    ):
        api.refused(method, f"/mailboxes/{uid}{path}", 412, "EDIT_CONFLICT", json=body, headers={"If-Match": tag})
    assert api.ok("GET", f"/mailboxes/{uid}")["displayName"] == "One"
    api.ok("PATCH", f"/mailboxes/{uid}", json={"displayName": "Two"}, headers={"If-Match": first.headers["ETag"]})
    api.ok("PATCH", f"/mailboxes/{uid}", json={"displayName": "Three"}, headers={"If-Match": "*"})


def test_lists_are_filtered_paged_and_stable(api: Api) -> None:
    for name in ("anna", "ben", "carla"):
        api.add(f"{name}@example.com", display_name=name)
    api.add("dora@example.org", enabled=False)
    first = api.ok("GET", "/mailboxes?pageSize=3")
    assert [m["email"] for m in first["items"]] == ["anna@example.com", "ben@example.com", "carla@example.com"]
    assert (first["total"], first["pages"], first["page"], first["pageSize"]) == (4, 2, 1, 3)
    assert [m["email"] for m in api.ok("GET", "/mailboxes?pageSize=3&page=2")["items"]] == ["dora@example.org"]
    assert api.ok("GET", "/mailboxes?domain=example.org")["total"] == 1
    assert api.ok("GET", "/mailboxes?status=DISABLED")["total"] == 1
    assert api.ok("GET", "/mailboxes?syncStatus=PENDING")["total"] == 0
    assert api.ok("GET", "/mailboxes?search=carl")["total"] == 1
    down = api.ok("GET", "/mailboxes?sort=displayName&descending=true")["items"]
    assert down[0]["email"] == "carla@example.com"
    api.refused("GET", "/mailboxes?status=GONE", 400, "INVALID_INPUT")
    api.refused("GET", "/mailboxes?page=0", 400, "INVALID_INPUT")


def test_what_is_foreign_looks_as_if_it_were_not_there(api: Api, com_token: str) -> None:
    foreign, own = str(api.add("dora@example.org").uid), str(api.add("anna@example.com").uid)
    missing = "01a0b1c2-0000-7000-8000-00000000dead"
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"displayName": "x"}),
        ("DELETE", "", None),
        ("PATCH", "/disable", None),
        ("PATCH", "/quota", {"storageQuota": 1}),
        ("POST", "/restore", None),
        ("POST", "/reset-password", None),
    ):
        answers = [api(method, f"/mailboxes/{uid}{path}", token=com_token, json=body) for uid in (foreign, missing)]
        assert [a.status_code for a in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    creates = [
        api("POST", "/mailboxes", token=com_token, json={"email": f"x@{domain}", "password": PASSWORD})
        for domain in ("example.org", "example.net")
    ]
    assert creates[0].status_code == 404
    assert creates[0].content == creates[1].content
    ids = [foreign, missing, own]
    bulk = api.ok("POST", "/mailboxes/bulk/disable", token=com_token, json={"ids": ids})
    assert [(i["result"], i["code"]) for i in bulk["items"]] == [("refused", "MAILBOX_NOT_FOUND")] * 2 + [
        ("done", None)
    ]
    assert [m["email"] for m in api.ok("GET", "/mailboxes", token=com_token)["items"]] == ["anna@example.com"]


def test_many_are_made_and_the_bad_ones_refused_one_by_one(api: Api, com_token: str) -> None:
    api.add("anna@example.com")
    news = [
        {"email": "ben@example.com", "passwordHash": HASH.reveal(), "aliases": ["b@example.com"]},
        {"email": "anna@example.com", "passwordHash": HASH.reveal()},
        {"email": "carla@example.org", "passwordHash": OTHER_HASH.reveal()},
        {"email": "dan@example.com", "password": "weak"},
        {"email": "emma@example.com", "password": PASSWORD},
    ]
    dry = api.ok("POST", "/mailboxes/bulk", token=com_token, json={"mailboxes": news, "dryRun": True})
    assert [i["result"] for i in dry["items"]] == ["acceptable", "refused", "refused", "refused", "acceptable"]
    made = api.ok("POST", "/mailboxes/bulk", token=com_token, json={"mailboxes": news})
    assert (made["done"], made["refused"]) == (2, 3)
    assert [i["code"] for i in made["items"]] == [None, "DUPLICATE_MAILBOX", "DOMAIN_NOT_FOUND", "WEAK_PASSWORD", None]
    for item in (made["items"][0], made["items"][4]):
        assert api.ok("GET", f"/mailboxes/{item['id']}")["email"] == item["name"]
    assert api.ok("GET", "/aliases")["items"][0]["aliasAddress"] == "b@example.com"


def test_one_is_made_with_its_aliases_or_not_at_all(api: Api, com_token: str) -> None:
    new = {"email": "ben@example.com", "password": PASSWORD, "aliases": ["b@example.com", "benny@example.com"]}
    api.ok("POST", "/mailboxes", 201, token=com_token, json=new)
    aliases = api.ok("GET", "/aliases")["items"]
    assert [(a["aliasAddress"], a["mailbox"]) for a in aliases] == [
        ("b@example.com", "ben@example.com"),
        ("benny@example.com", "ben@example.com"),
    ]
    again = {"email": "carla@example.com", "password": PASSWORD, "aliases": ["b@example.com"]}
    api.refused("POST", "/mailboxes", 409, "DUPLICATE_ALIAS", json=again)
    foreign = {**again, "aliases": ["c@example.org"]}
    api.refused("POST", "/mailboxes", 404, "DOMAIN_NOT_FOUND", token=com_token, json=foreign)
    assert api.ok("GET", "/mailboxes?search=carla")["items"] == []


def test_bulk_changes(api: Api) -> None:
    ids = [str(api.add(f"{name}@example.com").uid) for name in ("anna", "ben")]
    assert api.ok("POST", "/mailboxes/bulk/quota", json={"ids": ids, "storageQuota": 7})["done"] == 2
    assert api.ok("POST", "/mailboxes/bulk/disable", json={"ids": ids})["done"] == 2
    assert api.ok("POST", "/mailboxes/bulk/enable", json={"ids": [*ids, *ids]})["done"] == 2
    assert api.ok("POST", "/mailboxes/bulk/enable", json={"ids": ids})["unchanged"] == 2
    assert api.ok("POST", "/mailboxes/bulk/delete", json={"ids": ids, "force": True})["done"] == 2
    assert api.ok("GET", "/mailboxes")["total"] == 0


def test_csv_in_and_out(api: Api, com_token: str) -> None:
    rows = f"anna@example.com,{PASSWORD},500\nben@example.com,weak,\ndora@example.org,{PASSWORD},\n"
    file = f"email,password,quota_mb\n{rows}"
    csv = {"content-type": "text/csv"}
    dry = api.ok("POST", "/mailboxes/import?dryRun=true", content=file, headers=csv, token=com_token)
    assert (dry["created"], dry["acceptable"]) == (0, 1)
    done = api.ok("POST", "/mailboxes/import", content=file, headers=csv, token=com_token)
    assert done["created"] == 1
    assert [(r["row"], r["column"]) for r in done["refused"]] == [(3, "password"), (4, "email")]
    out = api("GET", "/mailboxes/export", token=com_token)
    assert out.headers["content-type"].startswith("text/csv")
    assert out.text.splitlines()[1].startswith("anna@example.com,,500")
    assert api("GET", "/mailboxes/export?excel=true", token=com_token).content == b"\xef\xbb\xbf" + out.content


def test_the_columns_of_a_csv_are_said_and_new_passwords_told(api: Api) -> None:
    how: dict[str, Any] = {"content": "Mail,Phone\nanna@example.com,1\n", "headers": {"content-type": "text/csv"}}
    api.refused("POST", "/mailboxes/import", 400, "CSV_UNREADABLE", **how)
    api.refused("POST", "/mailboxes/import?newPasswords=true&map=colour%3DMail", 400, "INVALID_INPUT", **how)
    path = "/mailboxes/import?newPasswords=true&map=email%3DMail&map=display_name%3DPhone"
    assert api.ok("POST", f"{path}&dryRun=true", **how)["passwords"] == []
    response = api("POST", path, **how)
    (made,) = response.json()["passwords"]
    assert (made["email"], response.headers["cache-control"]) == ("anna@example.com", "no-store")
    assert (len(made["password"]) >= 8, response.json()["leftOut"]) == (True, [])
    assert api.ok("GET", "/mailboxes")["items"][0]["displayName"] == "1"


def test_a_csv_updates_what_exists_when_that_is_asked_for(api: Api) -> None:
    api("POST", "/mailboxes", json={"email": "anna@example.com", "password": PASSWORD})
    how: dict[str, Any] = {
        "content": "email,quota_mb\nanna@example.com,2048\n",
        "headers": {"content-type": "text/csv"},
    }
    change = {"address": "anna@example.com", "what": "quota_bytes", "before": 1 << 30, "after": 2 << 30}
    for path in ("/mailboxes/import?update=true&dryRun=true", "/mailboxes/import?update=true"):
        assert api.ok("POST", path, **how)["updated"] == [change]
    again = api.ok("POST", "/mailboxes/import?update=true", **how)
    assert (again["updated"], again["unchanged"], again["refused"]) == ([], 1, [])


def test_aliases_go_out_and_in_as_csv(api: Api, com_token: str) -> None:
    csv = {"content-type": "text/csv"}
    rows = "all@example.com,x@example.net;y@example.net\nnonsense,x@example.net\nz@example.org,x@example.net\n"
    file = f"alias,destinations\n{rows}"
    how: dict[str, Any] = {"content": file, "headers": csv, "token": com_token}
    dry = api.ok("POST", "/aliases/import?dryRun=true", **how)
    assert (dry["created"], dry["acceptable"], [row["row"] for row in dry["refused"]]) == (0, 1, [3, 4])
    once = {**how, "headers": {**csv, "idempotency-key": "k"}}
    assert api.ok("POST", "/aliases/import", **once) == api.ok("POST", "/aliases/import", **once)
    out = api("GET", "/aliases/export?excel=true", token=com_token)
    assert out.content.decode("utf-8-sig").splitlines()[1] == "all@example.com,x@example.net;y@example.net,"
    api.refused("POST", "/aliases/import", 400, "CSV_UNREADABLE", headers=csv)


def test_a_csv_in_another_encoding_is_asked_for_it(api: Api) -> None:
    file, csv = f"email,password,display_name\nanna@example.com,{PASSWORD},Jürgen\n", {"content-type": "text/csv"}
    how: dict[str, Any] = {"content": file.encode("cp1252"), "headers": csv}
    refused = api.refused("POST", "/mailboxes/import", 400, "CSV_ENCODING", **how)
    assert "cp1252" in refused["error"]
    api.ok("POST", "/mailboxes/import?encoding=cp1252", **how)
    assert api.ok("GET", "/mailboxes")["items"][0]["displayName"] == "Jürgen"


def test_the_list_is_sorted_by_whatever_the_queries_can_sort_by() -> None:
    assert set(SORTS.values()) == set(MAILBOX_SORTS)
