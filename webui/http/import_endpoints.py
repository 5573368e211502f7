"""HTTP routes of the CSV import: the template, the refused rows and the new passwords of one import."""

from collections.abc import Callable
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from provision.core.access import Permission
from provision.core.errors import NotFound, NotSignedIn, ProvisionError
from provision.identity.sign_in import SignedIn
from provision.transfer.csv_io import template
from provision.transfer.import_jobs import made_passwords, rejected_rows
from webui.http import sessions
from webui.http.running import postroom


async def mailbox_template(request: Request) -> Response:
    """A file to fill in; holds nothing of ours, but only who signed in gets it."""
    return await _answer(request, "mailboxes-template.csv", lambda who: template())


async def import_rejected(request: Request) -> Response:
    """`?import=<uid>`: its owner or a SuperAdmin gets the refused rows, as long as they are kept."""
    return await _answer(request, "rejected-rows.csv", lambda who: rejected_rows(postroom(), who.actor, _uid(request)))


async def import_passwords(request: Request) -> Response:
    """`?import=<uid>`: its owner or a SuperAdmin gets the new passwords, once; a HEAD uses up none."""
    if request.method != "GET":
        return PlainTextResponse("", 405)
    return await _answer(request, "new-passwords.csv", lambda who: made_passwords(postroom(), who.actor, _uid(request)))


def _uid(request: Request) -> UUID:
    """Raises: NotFound."""
    try:
        return UUID(request.query_params.get("import", ""))
    except ValueError:
        raise NotFound("There is no such import.") from None


async def _answer(request: Request, filename: str, text: Callable[[SignedIn], str]) -> Response:
    def body() -> str:
        who = sessions.of_request(request)
        if who is None or who.must_change_password:
            raise NotSignedIn("Sign in first.")
        who.actor.require(Permission.MAILBOX_WRITE)
        return text(who)

    try:
        found = await run_in_threadpool(body)
    except ProvisionError as error:
        return PlainTextResponse(error.message, error.status)
    headers = {"content-disposition": f'attachment; filename="{filename}"', "cache-control": "no-store"}
    return Response(found, media_type="text/csv; charset=utf-8", headers=headers)
