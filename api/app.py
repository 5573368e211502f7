"""The API as one ASGI application, to be mounted at `/api`."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.routing import Mount

from api import aliases, bulk, credentials, csvs, docs, domains, errors, health, logs, mailboxes, policy, sync
from api.auth import OPEN, Guard
from api.context import ERRORS
from api.limits import Limits
from api.parameters import known_parameters
from provision.app import Postroom
from provision.core.access import Permission
from provision.ops.health import product_version

MOUNT = "/api"
DESCRIPTION = (
    "Mailboxes, aliases, domains and their way to the mail server, for other programs. Send a token as “Authorization: "
    "Bearer …”; it is made on the Settings page or by “token add”. Every error is {error, code, details}."
)
ROUTERS = (bulk, csvs, mailboxes, aliases, domains, sync, logs, credentials, policy, health)


def create_api(
    product: Callable[[], Postroom], jobs_alive: Callable[[], bool | None] = lambda: None, mount: str = MOUNT
) -> FastAPI:
    """`product` is asked at each call, for it is opened when first needed. `mount`: where callers find it."""
    app = FastAPI(
        title="Postroom",
        version=product_version(),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(known_parameters)],
    )
    limits = Limits()
    app.state.product, app.state.jobs_alive, app.state.limits = product, jobs_alive, limits
    app.state.mount = mount
    errors.install(app)
    for module in ROUTERS:
        app.include_router(module.router, responses=ERRORS)
    app.add_middleware(Guard, product=product, limits=limits)
    _publish(app)
    return app


def mounted(app: FastAPI, at: str = MOUNT) -> Mount:
    """Where it is served. A path with a line break is one, too, which Starlette's own pattern does not see."""
    mount = Mount(at, app)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount


def _publish(app: FastAPI) -> None:
    """The document and the page made of it; both without a token, for they hold nothing of this place."""

    async def openapi() -> dict[str, Any]:
        return document(app)

    async def page() -> HTMLResponse:
        return HTMLResponse(docs.page(document(app)))

    app.add_api_route("/provision/openapi.json", openapi, include_in_schema=False)
    app.add_api_route("/provision/docs", page, include_in_schema=False)


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1, with the scope of each operation; made once."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        found["servers"] = [{"url": app.state.mount}]
        bearer = {"type": "http", "scheme": "bearer", "description": "A token."}
        found["components"]["securitySchemes"] = {"bearer": bearer}
        for path, method, route in api_routes(app):
            operation = found["paths"][path][method]
            operation["security"] = [] if path in OPEN else [{"bearer": []}]
            if permission := scope_of(route):
                operation["x-scope"] = str(permission)
        app.openapi_schema = found
    return app.openapi_schema


def api_routes(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    """Path, method and route of every operation of the document."""
    for module in ROUTERS:
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                for method in sorted(route.methods or ()):
                    yield route.path, method.lower(), route


def scope_of(route: APIRoute) -> Permission | None:
    """What a token must be given to call this: of the verb itself, not of looking up what the path names."""
    found = [getattr(part.call, "permission", None) for part in route.dependant.dependencies]
    nested = [getattr(part.call, "permission", None) for d in route.dependant.dependencies for part in d.dependencies]
    return next((permission for permission in [*found, *nested] if permission), None)
