"""The rules over HTTP: everybody reads them, a token of all domains with policy:write sets them."""

import pytest

from tests.api.conftest import Api

WEAK = {"email": "ben@example.com", "password": "Correct-Horse-1"}


def test_readers_see_the_rules_and_where_they_come_from(api: Api) -> None:
    reader = api.make_token("reader", "policy:read", domains=["example.com"])
    shown = api.ok("GET", "/policy", token=reader)
    assert (shown["passwordMinLength"], shown["sources"]["passwordMinLength"]) == (8, "default")
    assert (shown["retryCapSeconds"], shown["sources"]["retryCapSeconds"]) == (0.02, "environment")
    assert shown["defaults"]["maxAttempts"] == 8
    assert shown["sources"].keys() == shown["defaults"].keys()


def test_a_rule_is_set_obeyed_and_taken_back(api: Api) -> None:
    shown = api.ok("PATCH", "/policy", json={"passwordMinLength": 20, "maxAttempts": 3})
    assert (shown["passwordMinLength"], shown["sources"]["passwordMinLength"]) == (20, "set here")
    assert shown["defaults"]["passwordMinLength"] == 8
    assert "20 to 32" in api.refused("POST", "/mailboxes", 422, "WEAK_PASSWORD", json=WEAK)["error"]
    assert api.ok("PATCH", "/policy", json={"passwordMinLength": None})["sources"]["passwordMinLength"] == "default"
    assert api.ok("GET", "/policy")["maxAttempts"] == 3
    api.ok("POST", "/mailboxes", 201, json=WEAK)
    (last, _first) = api.ok("GET", "/logs?operation=policy.edit")["items"]
    assert (last["operator"], last["payload"]) == (
        "token:all",
        {"password_min_length": {"old": 20, "new": 8, "default": True}},
    )


def test_of_two_the_second_is_told(api: Api) -> None:
    tag = api("GET", "/policy").headers["ETag"]
    first = api("PATCH", "/policy", json={"passwordMinLength": 12}, headers={"If-Match": tag})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    api.refused("PATCH", "/policy", 412, "EDIT_CONFLICT", json={"passwordMinLength": 9}, headers={"If-Match": tag})
    assert api.ok("GET", "/policy")["passwordMinLength"] == 12


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"passwordMinLength": 7}, "INVALID_POLICY"),
        ({"passwordMinLength": 40}, "INVALID_POLICY"),
        ({"passwordClasses": 5}, "INVALID_POLICY"),
        ({"retryBaseSeconds": 0}, "INVALID_POLICY"),
        ({"retryBaseSeconds": 1e300}, "INVALID_POLICY"),
        ({"passwordMinLength": "many"}, "INVALID_INPUT"),
        ({"databaseUrl": "x"}, "INVALID_INPUT"),
        ({"defaultQuotaMb": 1 << 62}, "INVALID_INPUT"),
        ([], "INVALID_INPUT"),
    ],
)
def test_what_cannot_be_is_a_sentence(api: Api, body: object, code: str) -> None:
    api.refused("PATCH", "/policy", 400, code, json=body)
    assert set(api.ok("GET", "/policy")["sources"].values()) == {"default", "environment"}


def test_a_token_of_some_domains_cannot_be_given_the_rules(api: Api) -> None:
    reader = api.make_token("reader", "policy:read")
    api.refused("PATCH", "/policy", 403, "INSUFFICIENT_PERMISSION", token=reader, json={"passwordMinLength": 9})
    with pytest.raises(Exception, match="cannot be kept to some domains"):
        api.make_token("com", "policy:write", domains=["example.com"])
