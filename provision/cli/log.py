"""The log of who did what, and what came of it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from provision.cli.output import Json, Number, Size, pages, say_json, table
from provision.cli.session import Code, session_of
from provision.cli.views import without_ids
from provision.queries import LogFilter
from provision.storage.models import LogStatus

Since = Annotated[datetime | None, typer.Option("--since", help="From this time (UTC) on.")]
Until = Annotated[datetime | None, typer.Option("--until", help="Before this time (UTC).")]
app = typer.Typer(no_args_is_help=True)


@app.callback()
def noun() -> None:
    """The log of who did what, and what came of it."""


@app.command("list")
def list_(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", help="What the address or name begins with.")] = "",
    operation: Annotated[str | None, typer.Option("--operation", help="E.g. mailbox.create.")] = None,
    resource: Annotated[
        str | None, typer.Option("--resource", help="mailbox, alias, domain, server or operator.")
    ] = None,
    status: Annotated[LogStatus | None, typer.Option("--status", help="How it ended.")] = None,
    operator: Annotated[str | None, typer.Option("--operator", help="Who did it.")] = None,
    since: Since = None,
    until: Until = None,
    number: Number = 1,
    page_size: Size = 50,
    as_json: Json = False,
) -> int:
    """A page of the log, newest first."""
    session = session_of(context)
    where = LogFilter(
        operation=operation,
        resource_type=resource,
        status=status,
        operator=operator,
        search=search,
        since=_utc(since),
        until=_utc(until),
    )
    page = session.app.queries.logs(session.actor, where, number=number, size=page_size)
    if as_json:
        say_json(
            {"rows": [without_ids(r) for r in page.rows], "total": page.total, "page": page.number, "pages": page.pages}
        )
        return Code.DONE
    facts = [
        (r["started_at"], r["operator"], r["operation"], r["resource_name"], r["status"], r["error"] or r["command"])
        for r in page.rows
    ]
    table(("time (UTC)", "who", "what", "on", "status", "error or command"), facts, "There is no such record.")
    pages(page)
    return Code.DONE


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
