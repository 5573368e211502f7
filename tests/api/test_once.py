"""Idempotency-Key: the same call again gets the same answer, and nothing happens twice."""

import pytest
from sqlalchemy import update

from provision.storage.models import IdempotencyKey
from tests.api.conftest import PASSWORD, Api

KEY = {"Idempotency-Key": "order-4711"}
ANNA = {"email": "anna@example.com", "password": PASSWORD}


@pytest.mark.both_databases
def test_the_same_call_again_gets_the_same_answer(api: Api) -> None:
    first = api("POST", "/mailboxes", json=ANNA, headers=KEY)
    again = api("POST", "/mailboxes", json=ANNA, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.ok("GET", "/mailboxes")["total"] == 1


def test_another_body_is_a_conflict(api: Api) -> None:
    api.ok("POST", "/mailboxes", 201, json=ANNA, headers=KEY)
    other = {**ANNA, "password": "Other-Horse-2"}
    api.refused("POST", "/mailboxes", 409, "IDEMPOTENCY_CONFLICT", json=other, headers=KEY)
    api.refused("POST", "/aliases", 409, "IDEMPOTENCY_CONFLICT", json=ANNA, headers=KEY)


def test_keys_of_two_tokens_have_nothing_in_common(api: Api) -> None:
    other = api.make_token("other")
    api.ok("POST", "/mailboxes", 201, json=ANNA, headers=KEY)
    api.refused("POST", "/mailboxes", 409, "DUPLICATE_MAILBOX", json=ANNA, headers=KEY, token=other)


def test_what_failed_may_be_tried_again(api: Api) -> None:
    api.refused("POST", "/mailboxes", 404, "DOMAIN_NOT_FOUND", json={**ANNA, "email": "a@new.example.net"}, headers=KEY)
    api.ok("POST", "/domains", 201, json={"name": "new.example.net", "server": "main"})
    api.ok("POST", "/mailboxes", 201, json={**ANNA, "email": "a@new.example.net"}, headers=KEY)


def test_a_generated_password_comes_again_and_is_kept_sealed_only(api: Api) -> None:
    uid = api.add("anna@example.com").uid
    first = api.ok("POST", f"/mailboxes/{uid}/reset-password", headers=KEY)["oneTimePassword"]
    assert api.ok("POST", f"/mailboxes/{uid}/reset-password", headers=KEY)["oneTimePassword"] == first
    with api.world.app.database.read() as session:
        (row,) = session.query(IdempotencyKey).all()
    assert first not in f"{row.key}{row.request_digest}{row.request_mac}{row.sealed_body}"


@pytest.mark.parametrize("path", ["/mailboxes/bulk/disable", "/sync/push", "/sync/pull", "/audit/verify"])
def test_every_post_knows_the_key(api: Api, path: str) -> None:
    body = {"ids": [str(api.add("anna@example.com").uid)]} if "bulk" in path else None
    first = api("POST", path, json=body, headers=KEY)
    assert first.status_code == 200
    assert api("POST", path, json=body, headers=KEY).content == first.content


@pytest.mark.both_databases
def test_a_call_that_is_worked_on_is_not_begun_again(api: Api) -> None:
    from provision.core.secret import Secret

    actor = api.world.app.services.tokens.caller(Secret(api.token), None).actor
    asked = b"POST /api/provision/sync/push?\n"
    assert api.world.app.services.idempotency.claim(actor, Secret(api.token), "order-4711", asked) is None
    api.refused("POST", "/sync/push", 409, "IDEMPOTENCY_IN_PROGRESS", headers=KEY)


def test_where_the_answer_was_lost_each_item_gets_its_own_id_again(api: Api) -> None:
    """As after a crash between making the mailboxes and keeping the answer."""
    wrong = {"email": "-rf@x", "password": PASSWORD}
    ben = {"email": "ben@example.com", "password": PASSWORD}
    body = {"mailboxes": [wrong, ANNA, ANNA, ben]}
    first = api.ok("POST", "/mailboxes/bulk", json=body, headers=KEY)
    with api.world.app.database.write() as session:
        session.execute(update(IdempotencyKey).values(request_mac=None, status=None, sealed_body=None))
    assert api.ok("POST", "/mailboxes/bulk", json=body, headers=KEY) == first
    ids = {item["name"]: item["id"] for item in first["items"] if item["result"] == "created"}
    found = {row["email"]: row["id"] for row in api.ok("GET", "/mailboxes")["items"]}
    assert ids == found
    assert [item["result"] for item in first["items"]] == ["refused", "created", "refused", "created"]


def test_where_the_answer_to_a_file_was_lost_its_refused_rows_are_told_again(api: Api) -> None:
    file = f"email,password\nanna@example.com,{PASSWORD}\nanna@example.com,{PASSWORD}\nben@nowhere.example,{PASSWORD}\n"
    csv = {"content-type": "text/csv", **KEY}
    first = api.ok("POST", "/mailboxes/import", content=file, headers=csv)
    with api.world.app.database.write() as session:
        session.execute(update(IdempotencyKey).values(request_mac=None, status=None, sealed_body=None))
    assert api.ok("POST", "/mailboxes/import", content=file, headers=csv) == first
    assert (first["created"], len(first["ids"]), len(first["refused"])) == (1, 1, 2)


def test_a_key_of_odd_letters_is_refused(api: Api) -> None:
    api.refused("POST", "/sync/push", 400, "INVALID_INPUT", headers={"Idempotency-Key": "x" * 101})


@pytest.mark.parametrize("headers", [{}, KEY])
def test_a_body_that_is_too_large_is_413(api: Api, headers: dict[str, str]) -> None:
    csv = {"content-type": "text/csv", **headers}
    api.refused("POST", "/mailboxes/import", 413, "PAYLOAD_TOO_LARGE", content=b"x" * (20 << 20) + b"x", headers=csv)
