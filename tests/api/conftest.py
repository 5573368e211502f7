"""The API of one small world, called as a program calls it: over HTTP, with tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.app import create_api, mounted
from provision.app import Postroom
from provision.core.access import Permission
from provision.services.tokens import SCOPES
from provision.storage.models import Mailbox
from tests.conftest import World

BASE = "/api/provision"
PASSWORD = "Correct-Horse-1"


@dataclass
class Api:
    """`answer = api("GET", "/mailboxes")`, with all scopes unless another token is given."""

    world: World
    http: TestClient
    token: str

    def __call__(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token or self.token}", **more.pop("headers", {})}
        where = path if path.startswith("/api") else BASE + path
        answer: httpx2.Response = self.http.request(method, where, headers=headers, **more)
        return answer

    def ok(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = self(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, status: int, code: str, **more: Any) -> Any:
        """The answer must be an error of just this kind, in the one shape."""
        answer = self(method, path, **more)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (status, code), answer.text
        assert body.keys() == {"error", "code", "details"}
        assert body["error"].endswith(".")
        return body

    def make_token(self, name: str, *scopes: str, domains: Sequence[str] | None = None, **more: Any) -> str:
        given = scopes or SCOPES
        _row, token = self.world.app.services.tokens.create(self.world.alice, name, given, domains=domains, **more)
        return token.reveal()

    def add(self, email: str, **more: Any) -> Mailbox:
        return self.world.add(email, **more)


def client(app: Postroom) -> TestClient:
    whole = Starlette(routes=[mounted(create_api(lambda: app))])
    return TestClient(whole, raise_server_exceptions=False)


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    made = Api(world, client(world.app), "")
    made.token = made.make_token("all")
    with made.http:
        yield made


@pytest.fixture
def com_token(api: Api) -> str:
    """Everything that can be kept to a domain, for example.com only."""
    return api.make_token("com", *[scope for scope in SCOPES if scope in COM_SCOPES], domains=["example.com"])


COM_SCOPES = {
    Permission.MAILBOX_WRITE,
    Permission.ALIAS_WRITE,
    Permission.DOMAIN_READ,
    Permission.SERVER_READ,
    Permission.SYNC_READ,
    Permission.SYNC_PUSH,
    Permission.SYNC_PULL,
    Permission.LOG_READ,
}
