"""The log of who did what, and what came of it."""

from typing import Annotated

import typer

from provision.cli.output import Json, Number, Size
from provision.cli.session import session_of
from provision.cli.views import listed
from provision.core.columns import Column
from provision.queries import LogFilter, begin_of, end_of
from provision.storage.models import LogStatus

Since = Annotated[str | None, typer.Option("--since", help="From this day or time (UTC) on.")]
Until = Annotated[str | None, typer.Option("--until", help="To the end of this day, or until this time (UTC).")]
COLUMNS = (
    Column("started_at", "time (UTC)"),
    Column("operator", "who"),
    Column("operation", "what"),
    Column("resource_name", "on"),
    Column("status"),
    Column("error", "error or command", lambda row: row["error"] or row["command"]),
)
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
        since=begin_of(since),
        until=end_of(until),
    )
    page = session.app.queries.logs(session.actor, where, number=number, size=page_size)
    return listed(page, COLUMNS, "There is no such record.", as_json=as_json)
