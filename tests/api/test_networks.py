"""ALLOWED_NETWORKS and named proxies, through the middleware of the whole product."""

from collections.abc import Iterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from provision.settings.config import get_settings
from webui.http.asgi import middleware
from webui.http.proxies import real_address


async def who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.client.host if request.client else "")


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Only 10.0.0.0/8 may in; the proxy is 192.0.2.1."""
    monkeypatch.setenv("ALLOWED_NETWORKS", "10.0.0.0/8, 2001:db8::/32")
    monkeypatch.setenv("POSTROOM_TRUSTED_PROXIES", "192.0.2.1")
    get_settings.cache_clear()
    paths = ("/", "/metrics", "/api/provision/mailboxes", "/health", "/api/provision/health")
    app = Starlette(routes=[Route(path, who) for path in paths], middleware=middleware())
    yield TestClient(app, client=("192.0.2.1", 1234))
    get_settings.cache_clear()


def ask(house: TestClient, path: str, forwarded: str | None = None) -> httpx2.Response:
    answer: httpx2.Response = house.get(path, headers={"X-Forwarded-For": forwarded} if forwarded else {})
    return answer


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/provision/mailboxes"])
def test_only_the_allowed_networks_get_in(house: TestClient, path: str) -> None:
    assert ask(house, path, "10.1.2.3").text == "10.1.2.3"
    assert ask(house, path, "203.0.113.9").status_code == 403
    assert ask(house, path).status_code == 403


@pytest.mark.parametrize("path", ["/health", "/api/provision/health"])
def test_health_answers_everybody(house: TestClient, path: str) -> None:
    assert ask(house, path, "203.0.113.9").status_code == 200


def test_programs_are_told_in_their_shape(house: TestClient) -> None:
    assert ask(house, "/api/provision/mailboxes").json()["code"] == "NETWORK_NOT_ALLOWED"


def test_an_invented_address_helps_nobody(house: TestClient) -> None:
    assert ask(house, "/", "10.1.2.3, 203.0.113.9").status_code == 403


@pytest.mark.parametrize(
    ("peer", "forwarded", "real"),
    [
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["10.0.0.1, 192.0.2.1"], "10.0.0.1"),
        ("192.0.2.1", ["10.0.0.1", "10.0.0.2"], "10.0.0.2"),
        ("192.0.2.1", ["nonsense"], "unknown"),
    ],
)
def test_the_real_address(peer: str, forwarded: list[str], real: str) -> None:
    from ipaddress import ip_network

    assert real_address(peer, forwarded, [ip_network("192.0.2.1")]) == real
