"""Every route of the document: no token, a token without the scope, tokens that ended, networks, limits."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from api.app import ROUTERS, api_routes, create_api, document, scope_of
from api.auth import OPEN
from provision.app import Postroom, open_postroom
from provision.core.access import Permission
from provision.services.tokens import SCOPES
from provision.settings.config import Settings
from provision.storage.models import utc_now
from tests.api.conftest import Api, client
from tests.conftest import World

MISSING = "01a0b1c2-0000-7000-8000-00000000dead"
ROUTES = sorted((path, method, scope_of(route)) for path, method, route in api_routes(create_api(lambda: None)))  # type: ignore[arg-type,return-value]
CLOSED = [route for route in ROUTES if route[0] not in OPEN]
# A body that is good enough to get as far as the scope.
BODIES: dict[str, Any] = {
    "/provision/mailboxes": {"email": "x@example.com", "password": "Correct-Horse-1"},
    "/provision/aliases": {"aliasAddress": "x@example.com", "destinations": ["y@example.com"]},
}


def called(path: str) -> str:
    return "/api" + path.replace("{id}", MISSING).replace("{name}", "example.com")


def test_the_router_knows_no_route_that_is_not_in_the_document(api: Api) -> None:
    paths = document(create_api(lambda: api.world.app))["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == {r[:2] for r in ROUTES}
    assert len(ROUTES) >= 44
    assert len(ROUTERS) == 10


def test_every_route_without_a_token_is_401(api: Api) -> None:
    for path, method, _scope in CLOSED:
        answer = api.http.request(method.upper(), called(path))
        assert (answer.status_code, answer.json()["code"]) == (401, "NOT_SIGNED_IN"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        wrong = api.http.request(method.upper(), called(path), headers={"Authorization": "Bearer postroom_wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "INVALID_TOKEN"), path


def test_every_route_with_the_wrong_scope_is_403_and_recorded(api: Api) -> None:
    scopes = {scope for _path, _method, scope in CLOSED if scope}
    tokens = {scope: api.make_token(f"not {scope}", *others(scope)) for scope in scopes}
    for path, method, scope in CLOSED:
        if scope is None:
            assert path == "/provision/token"
            continue
        answer = api(method.upper(), called(path), token=tokens[scope], json=BODIES.get(path))
        assert (answer.status_code, answer.json()["code"]) == (403, "INSUFFICIENT_PERMISSION"), (path, answer.text)
    denied = api.ok("GET", "/logs?operation=api.call&pageSize=1")
    assert denied["total"] == len([route for route in CLOSED if route[2]])
    assert denied["items"][0]["operator"].startswith("token:not ")


def test_every_route_is_open_to_its_own_scope_alone(api: Api) -> None:
    mailbox = api.add("anna@example.com").uid
    alias = api.world.app.services.aliases.create(api.world.alice, "info@example.com", ["anna@example.com"]).uid
    for path, method, scope in CLOSED:
        token = api.make_token(f"{method} {path}"[:70], *([scope] if scope else ["log:read"]))
        uid = str(alias if "aliases" in path else mailbox)
        where = "/api" + path.replace("{id}", uid).replace("{name}", "example.com")
        body = BODIES.get(path) or {"ids": [uid]} if "bulk/" in path else BODIES.get(path)
        answer = api(method.upper(), where, token=token, json=body)
        assert answer.status_code not in (401, 403, 500), (path, method, answer.text)


def others(scope: Permission) -> list[Permission]:
    """All scopes that do not carry this one: writing carries reading."""
    kind, _, verb = scope.partition(":")
    return [s for s in SCOPES if s != scope and not (verb == "read" and s.startswith(f"{kind}:"))]


def test_writing_carries_reading(api: Api) -> None:
    token = api.make_token("writer", "mailbox:write")
    uid = api.add("anna@example.com").uid
    assert api.ok("GET", f"/mailboxes/{uid}", token=token)["email"] == "anna@example.com"
    api.refused("GET", "/aliases", 403, "INSUFFICIENT_PERMISSION", token=token)


def test_unknown_paths_and_methods_are_in_the_one_shape(api: Api) -> None:
    api.refused("GET", "/nothing", 404, "NOT_FOUND")
    api.refused("PUT", "/mailboxes", 405, "METHOD_NOT_ALLOWED")


def test_a_session_cookie_means_nothing_here(api: Api) -> None:
    answer = api.http.get("/api/provision/mailboxes", headers={"Cookie": f"__Host-postroom={api.token}"})
    assert answer.status_code == 401


def test_revoked_and_expired_tokens_end_at_once(api: Api) -> None:
    tokens, alice = api.world.app.services.tokens, api.world.alice
    token = api.make_token("short", expires_at=utc_now() + timedelta(hours=1))
    api.ok("GET", "/token", token=token)
    with time_machine.travel(utc_now() + timedelta(hours=2)):
        api.refused("GET", "/token", 401, "INVALID_TOKEN", token=token)
    tokens.revoke(alice, tokens.by_name(alice, "all")["uid"])
    api.refused("GET", "/token", 401, "INVALID_TOKEN")
    with api.world.app.database.read() as session:
        assert api.token not in str(session.connection().exec_driver_sql("SELECT * FROM api_token").all())


def test_making_and_revoking_is_in_the_audit(api: Api) -> None:
    tokens, alice = api.world.app.services.tokens, api.world.alice
    tokens.revoke(alice, tokens.by_name(alice, "all")["uid"])
    records = [r for r in api.world.app.queries.logs(alice).rows if r["resource_type"] == "token"]
    assert [(r["operation"], r["operator"], r["resource_name"]) for r in records] == [
        ("token.revoke", "alice", "all"),
        ("token.create", "alice", "all"),
    ]
    assert api.token not in str(records)


def test_a_token_works_from_its_networks_only(api: Api) -> None:
    token = api.make_token("vpn", networks=["10.0.0.0/8"])
    api.refused("GET", "/token", 403, "NETWORK_NOT_ALLOWED", token=token)


def test_who_am_i(api: Api, com_token: str) -> None:
    mine = api.ok("GET", "/token", token=com_token)
    assert (mine["name"], mine["domains"]) == ("com", ["example.com"])
    assert api.ok("GET", "/token")["domains"] is None
    seen = api.world.app.services.tokens.by_name(api.world.alice, "com")
    assert seen["last_used_at"] is not None
    assert seen["last_used_ip"] == "testclient"


@pytest.mark.parametrize("scope", [Permission.OPERATOR_WRITE, Permission.TOKEN_WRITE, "mailbox:fly", ""])
def test_some_scopes_no_token_gets(world: World, scope: str) -> None:
    with pytest.raises(Exception, match="scope"):
        world.app.services.tokens.create(world.alice, "strong", [scope] if scope else [])


def test_only_super_admins_make_tokens(world: World) -> None:
    for actor in (world.dora, world.vera):
        with pytest.raises(Exception, match="may not"):
            world.app.services.tokens.create(actor, "x", ["mailbox:read"])


# ---- limits --------------------------------------------------------------------------------


@pytest.fixture
def strict(world: World, settings: Settings) -> Iterator[Api]:
    """Five calls a minute, two password checks."""
    tight = settings.model_copy(update={"api_calls_per_minute": 5, "api_verifications_per_minute": 2})
    app: Postroom = open_postroom(tight, migrate=False)
    made = Api(replace(world, app=app), client(app), "")
    made.token = made.make_token("all")
    with made.http:
        yield made
    app.close()


def test_too_many_calls_are_429_with_the_seconds_to_wait(strict: Api) -> None:
    for _ in range(5):
        strict.ok("GET", "/token")
    answer = strict("GET", "/token")
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert strict.http.get("/api/provision/health").status_code == 200


def test_password_checks_are_rationed_more_strictly(strict: Api) -> None:
    given = {"email": "anna@example.com", "password": "x"}
    strict.add("anna@example.com")
    for _ in range(2):
        strict.refused("POST", "/verify-credentials", 400, "NO_IMAP_HOST", json=given)
    strict.refused("POST", "/verify-credentials", 429, "RATE_LIMITED", json=given)


def test_nobody_uses_up_the_password_checks_of_a_foreign_mailbox(strict: Api) -> None:
    com_token = strict.make_token("com", "mailbox:write", domains=["example.com"])
    strict.add("dora@example.org")
    given = {"email": "dora@example.org", "password": "x"}
    for _ in range(2):
        strict.refused("POST", "/verify-credentials", 404, "MAILBOX_NOT_FOUND", json=given, token=com_token)
    strict.refused("POST", "/verify-credentials", 400, "NO_IMAP_HOST", json=given)
