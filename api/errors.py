"""Whatever goes wrong becomes `{error, code, details}` with its status, here and nowhere else."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from provision.core.access import Actor
from provision.core.errors import ForeignDomain, InvalidInput, NotFound, ProvisionError
from provision.telemetry import serverlog

MAX_ECHO = 200  # characters
ENDLESS = re.compile(rf"\S{{{MAX_ECHO + 1},}}")
CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}


def install(app: FastAPI) -> None:
    app.add_exception_handler(ProvisionError, _on_provision_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_malformed)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_error)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _on_unexpected)


def body(error: ProvisionError) -> dict[str, Any]:
    return {"error": _short(error.message), "code": error.code, "details": _short(jsonable_encoder(error.details))}


def _short(value: Any) -> Any:
    """What somebody sent is given back in 200 characters at most."""
    if isinstance(value, str):
        return ENDLESS.sub(lambda found: f"{found[0][: MAX_ECHO - 1]}…", value)
    if isinstance(value, dict):
        return {_short(name): _short(one) for name, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value


def answer(error: ProvisionError, *, status: int | None = None) -> JSONResponse:
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after" in error.details:
        headers["Retry-After"] = str(error.details["retry_after"])
    return JSONResponse(body(error), status or error.status, headers)


def as_seen_by(actor: Actor | None, error: ProvisionError) -> ProvisionError:
    """A domain that is not the caller's looks like one that is not there at all."""
    within = actor is not None and actor.domains is not None
    if isinstance(error, ForeignDomain) or (within and error.code == "DOMAIN_NOT_FOUND"):
        return NotFound("This domain is not set up here, or it is not yours.", code="DOMAIN_NOT_FOUND")
    return error


async def _on_provision_error(request: Request, error: ProvisionError) -> JSONResponse:
    caller = request.scope.get("caller")
    stale = error.code == "EDIT_CONFLICT" and "if-match" in request.headers
    return answer(as_seen_by(caller.actor if caller else None, error), status=412 if stale else None)


async def _on_malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    """Names the fields; never what was in them, which could be a password."""
    fields = [{"field": _place(e["loc"]), "problem": e["msg"]} for e in error.errors()[:20]]
    first = f" {fields[0]['field']}: {fields[0]['problem']}." if fields else ""
    return answer(InvalidInput(f"The request cannot be used.{first}", fields=fields))


def _place(parts: Sequence[Any]) -> str:
    place = ".".join(str(part)[:MAX_ECHO] for part in parts if part != "body") or "body"
    return place if len(place) <= MAX_ECHO else place[: MAX_ECHO - 1] + "…"


async def _on_http_error(request: Request, error: HTTPException) -> JSONResponse:
    """What the router itself refuses: unknown paths and methods."""
    shown = {"error": f"{error.detail}.", "code": CODES.get(error.status_code, "INVALID_INPUT"), "details": {}}
    return JSONResponse(shown, error.status_code, error.headers)


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    number = serverlog.unexpected("unexpected error in the API", error, path=request.url.path)
    text = f"Something went wrong here. The log tells more under the number {number}."
    return JSONResponse({"error": text, "code": "INTERNAL_ERROR", "details": {"id": number}}, 500)
