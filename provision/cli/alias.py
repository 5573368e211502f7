"""Aliases: add, list, edit, assign, delete."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from provision.cli.delivery import report
from provision.cli.output import Json, Number, Size, say, say_json, say_page
from provision.cli.session import Code, session_of
from provision.cli.views import view
from provision.core.errors import InvalidInput
from provision.storage.models import SyncStatus

Address = Annotated[str, typer.Argument(help="The alias, e.g. info@example.com; @example.com catches all.")]
Destinations = Annotated[list[str], typer.Argument(help="Where its mail goes; anywhere, one or several.")]
app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    address: Address,
    destinations: Destinations,
    mailbox: Annotated[str | None, typer.Option("--mailbox", help="The mailbox it is listed under.")] = None,
    as_json: Json = False,
) -> int:
    """Make an alias."""
    session = session_of(context)
    owner = session.mailbox(mailbox).uid if mailbox else None
    row = session.app.services.aliases.create(session.actor, address, destinations, mailbox_id=owner)
    return report(session, "Created", row, as_json=as_json)


@app.command("list")
def list_(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", help="A part of the alias or of a destination.")] = "",
    domain: Annotated[str | None, typer.Option("--domain", help="Of this domain.")] = None,
    mailbox: Annotated[str | None, typer.Option("--mailbox", help="Of this mailbox.")] = None,
    sync_status: Annotated[SyncStatus | None, typer.Option("--sync-status", help="How far they are.")] = None,
    number: Number = 1,
    page_size: Size = 50,
    as_json: Json = False,
) -> int:
    """A page of aliases."""
    session = session_of(context)
    owner = session.mailbox(mailbox).uid if mailbox else None
    page = session.app.queries.aliases(
        session.actor,
        search=search,
        domain=domain,
        mailbox_id=owner,
        sync_status=sync_status,
        number=number,
        size=page_size,
    )
    columns = ("alias", "destinations", "mailbox", "sync", "reason")
    return say_page(page, columns, _facts, "There is no such alias.", as_json=as_json)


def _facts(row: Mapping[str, Any]) -> list[Any]:
    sync = "REMOVING" if row["removing"] else row["sync_status"]
    return [row["address"], row["destinations"], row["mailbox"], sync, row["reason"]]


@app.command()
def edit(context: typer.Context, address: Address, destinations: Destinations, as_json: Json = False) -> int:
    """Replace the destinations."""
    session = session_of(context)
    row = session.app.services.aliases.edit(session.actor, session.alias(address).uid, destinations)
    return report(session, "Changed", row, as_json=as_json)


@app.command()
def assign(
    context: typer.Context,
    address: Address,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", help="The mailbox it is listed under from now on.")
    ] = None,
    no_mailbox: Annotated[bool, typer.Option("--no-mailbox", help="Under none any more.")] = False,
    as_json: Json = False,
) -> int:
    """Say which mailbox an alias is listed under; the mail server knows nothing of it."""
    session = session_of(context)
    if no_mailbox == (mailbox is not None):
        raise InvalidInput("Either --mailbox or --no-mailbox.", code="WHICH_MAILBOX")
    owner = session.mailbox(mailbox) if mailbox is not None else None
    row = session.app.services.aliases.assign(session.actor, session.alias(address).uid, owner.uid if owner else None)
    if as_json:
        say_json({**view(row), "mailbox": owner.address if owner else None})
    else:
        say(f"{row.address} is listed under {owner.address if owner else 'no mailbox'}.")
    return Code.DONE


@app.command()
def delete(context: typer.Context, address: Address, as_json: Json = False) -> int:
    """Remove an alias."""
    session = session_of(context)
    row = session.app.services.aliases.delete(session.actor, session.alias(address).uid)
    return report(session, "Removed", row, as_json=as_json)
