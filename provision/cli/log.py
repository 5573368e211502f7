"""The log of who did what, and what came of it."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from provision.cli.output import Json, Number, Size, say_page
from provision.cli.session import session_of
from provision.queries import LogFilter, begin_of, end_of
from provision.storage.models import LogStatus

Since = Annotated[str | None, typer.Option("--since", help="From this day or time (UTC) on.")]
Until = Annotated[str | None, typer.Option("--until", help="To the end of this day, or until this time (UTC).")]
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
    columns = ("time (UTC)", "who", "what", "on", "status", "error or command")
    return say_page(page, columns, _facts, "There is no such record.", as_json=as_json)


def _facts(row: Mapping[str, Any]) -> list[Any]:
    names = ("started_at", "operator", "operation", "resource_name", "status")
    return [*(row[name] for name in names), row["error"] or row["command"]]
