"""HTTP routes beside the pages: health, the sign-in cookie, exports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from provision.core.access import Permission
from provision.core.errors import InvalidInput, NotSignedIn, ProvisionError
from provision.identity.sign_in import SignedIn
from provision.ops.health import look
from provision.queries import LogFilter, MailboxFilter, begin_of, end_of, prefetch
from provision.storage.models import LogStatus, Status, SyncStatus
from provision.transfer.alias_csv import export_aliases
from provision.transfer.csv_io import export_csv, export_log_csv
from webui.http import sessions
from webui.http.base_path import url_for
from webui.http.running import jobs_alive, postroom

MAX_PERCENT = 1_000_000  # of its quota: beyond it is a slip


async def health(request: Request) -> Response:
    """Whether the database answers and the jobs run; without sign-in."""
    found = await run_in_threadpool(lambda: look(postroom(), jobs_alive=jobs_alive()))
    return JSONResponse(found.body(), 503 if found.error else 200)


# ---- the sign-in cookie --------------------------------------------------------------------


async def set_cookie(request: Request) -> Response:
    """Trade the ticket for the cookie; then back to the page."""
    back = sessions.local_path(request.query_params.get("next", ""))
    response = RedirectResponse(back, 303, headers={"cache-control": "no-store"})
    browser = request.cookies.get(sessions.XSRF_COOKIE, "")
    token = sessions.redeem(request.query_params.get("ticket", ""), browser)
    if token and _is_from_here(request):
        response.set_cookie(sessions.COOKIE, token.reveal(), secure=True, httponly=True, samesite="strict", path="/")
    return response


async def drop_cookie(request: Request) -> Response:
    """Only from our own pages: another site shall not sign people out."""
    response = RedirectResponse(url_for("/"), 303, headers={"cache-control": "no-store"})
    if _is_from_here(request):
        response.delete_cookie(sessions.COOKIE, secure=True, httponly=True, samesite="strict", path="/")
    return response


def _is_from_here(request: Request) -> bool:
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


# ---- exports -------------------------------------------------------------------------------


async def export_mailboxes(request: Request) -> Response:
    """The mailboxes of a filtered list as CSV: `?search=&domain=&status=&sync_status=&used_percent_from=&excel=1`."""

    def lines(who: SignedIn) -> Iterator[str]:
        return export_csv(postroom(), who.actor, _mailbox_filter(request), excel=_excel(request))

    return await _stream(request, Permission.MAILBOX_READ, "mailboxes.csv", lines)


async def export_alias_list(request: Request) -> Response:
    """The aliases as CSV: `?search=&domain=&excel=1`."""

    def lines(who: SignedIn) -> Iterator[str]:
        which = _alias_filter(request)
        return export_aliases(postroom(), who.actor, *which, excel=_excel(request))

    return await _stream(request, Permission.ALIAS_READ, "aliases.csv", lines)


async def export_logs(request: Request) -> Response:
    """The provision log as CSV: `?operation=&resource_type=&status=&operator=&search=&since=&until=&excel=1`."""

    def lines(who: SignedIn) -> Iterator[str]:
        return export_log_csv(postroom(), who.actor, _log_filter(request), excel=_excel(request))

    return await _stream(request, Permission.LOG_READ, "logs.csv", lines)


def _excel(request: Request) -> bool:
    return request.query_params.get("excel") == "1"


async def _stream(
    request: Request, permission: Permission, filename: str, lines: Callable[[SignedIn], Iterator[str]]
) -> Response:
    """Rows as they come from the database, to somebody who may see them."""
    try:
        who = await run_in_threadpool(sessions.of_request, request)
        if who is None or who.must_change_password:
            raise NotSignedIn("Sign in first.")
        who.actor.require(permission)
        body = await run_in_threadpool(lambda: prefetch(lines(who)))
    except ProvisionError as error:
        return PlainTextResponse(error.message, error.status)
    headers = {"content-disposition": f'attachment; filename="{filename}"', "cache-control": "no-store"}
    return StreamingResponse(body, media_type="text/csv; charset=utf-8", headers=headers)


@contextmanager
def _filters() -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError, InvalidInput):
        raise InvalidInput("A filter in the address is not known, or its value cannot be used.") from None


def _given(request: Request, *known: str) -> dict[str, str]:
    """The filters that are set. Raises: ValueError where one is not known: the file would hold more than was meant."""
    if set(request.query_params) - {*known, "excel"}:
        raise ValueError
    return {name: value for name, value in request.query_params.items() if value}


@_filters()
def _mailbox_filter(request: Request) -> MailboxFilter:
    """Raises: InvalidInput."""
    given = _given(request, "search", "domain", "status", "sync_status", "used_percent_from")
    return MailboxFilter(
        search=given.get("search", ""),
        domain=given.get("domain"),
        status=Status(given["status"]) if "status" in given else None,
        sync_status=SyncStatus(given["sync_status"]) if "sync_status" in given else None,
        used_percent_from=_percent(given["used_percent_from"]) if "used_percent_from" in given else None,
    )


def _percent(text: str) -> int:
    """Raises: ValueError."""
    percent = int(text)
    if not 0 <= percent <= MAX_PERCENT:
        raise ValueError
    return percent


@_filters()
def _alias_filter(request: Request) -> tuple[str, str | None]:
    """Raises: InvalidInput."""
    given = _given(request, "search", "domain")
    return given.get("search", ""), given.get("domain")


@_filters()
def _log_filter(request: Request) -> LogFilter:
    """Raises: InvalidInput."""
    given = _given(request, "operation", "resource_type", "operator", "status", "search", "since", "until")
    return LogFilter(
        operation=given.get("operation"),
        resource_type=given.get("resource_type"),
        operator=given.get("operator"),
        status=LogStatus(given["status"]) if "status" in given else None,
        search=given.get("search", ""),
        since=begin_of(given.get("since")),
        until=end_of(given.get("until")),
    )
