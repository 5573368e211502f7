"""The real address behind a proxy, and whether it was asked by HTTPS: believed only of a proxy that was named."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from provision.core.networks import Networks, is_within, parse_address
from provision.settings.config import get_settings

UNKNOWN = "unknown"  # in place of what is no address: it is in no network, and whoever wrote it does not choose it


class RealAddress:
    """Puts the caller's address and scheme in place of the proxy's, for everything that comes after."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        proxies = get_settings().proxies
        if scope["type"] in ("http", "websocket") and scope.get("client") and is_within(scope["client"][0], proxies):
            address, port = scope["client"]
            scope["client"] = (real_address(address, _values(scope, b"x-forwarded-for"), proxies), port)
            if _values(scope, b"x-forwarded-proto")[-1:] == ["https"]:
                scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        await self.app(scope, receive, send)


def _values(scope: Scope, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]


def real_address(peer: str, forwarded: Sequence[str], proxies: Networks) -> str:
    """The last one in the chain that is not a named proxy; whatever stands before it may be invented."""
    chain = [part.strip() for value in forwarded for part in value.split(",") if part.strip()]
    while chain and is_within(peer, proxies):
        peer = chain.pop()
    return peer if parse_address(peer) else UNKNOWN
