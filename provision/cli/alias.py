"""Aliases: add, list, edit, assign, delete."""

from pathlib import Path
from typing import Annotated

import typer

from provision.cli.csvs import CsvFile, Encoded, Excel, OutFile, read_file, write_lines
from provision.cli.delivery import report
from provision.cli.output import Json, Number, OfDomain, OfSync, Size, cell, say, say_json, tell
from provision.cli.session import Code, session_of
from provision.cli.views import listed, view
from provision.core.columns import Column
from provision.core.errors import InvalidInput
from provision.transfer.alias_csv import export_aliases, import_aliases

Address = Annotated[str, typer.Argument(help="The alias, e.g. info@example.com; @example.com catches all.")]
Destinations = Annotated[list[str], typer.Argument(help="Where its mail goes; anywhere, one or several.")]
COLUMNS = (
    Column("alias", value="address"),
    Column("destinations"),
    Column("mailbox"),
    Column("sync", value=lambda row: "REMOVING" if row["removing"] else row["sync_status"]),
    Column("reason", optional=True),
)
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
    domain: OfDomain = None,
    mailbox: Annotated[str | None, typer.Option("--mailbox", help="Of this mailbox.")] = None,
    sync_status: OfSync = None,
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
    return listed(page, COLUMNS, "There is no such alias.", as_json=as_json)


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
    listed_under = owner.address if owner else None
    said = f"{row.address} is listed under {listed_under or 'no mailbox'}."
    return tell(as_json, {**view(row), "mailbox": listed_under}, said)


@app.command("import")
def import_(
    context: typer.Context,
    file: CsvFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    encoding: Encoded = None,
    as_json: Json = False,
) -> int:
    """Make an alias for every good row of a CSV file; exit code 1 if any row was refused."""
    session = session_of(context)
    result = import_aliases(session.app, session.actor, read_file(file), encoding, dry_run=dry_run)
    if as_json:
        errors = [{"row": e.number, "code": e.code, "message": e.message} for e in result.errors]
        accepted = [new.address for new in result.accepted]
        say_json({"accepted": accepted, "created": list(map(str, result.created)), "errors": errors})
    else:
        for error in result.errors:
            say(cell(error))
        done = f"{len(result.accepted):,} would be created" if dry_run else f"{len(result.created):,} created"
        say(f"{done}, {len(result.errors):,} rows refused.")
    return Code.REFUSED if result.errors else Code.DONE


@app.command()
def export(
    context: typer.Context,
    file: OutFile = Path("-"),
    search: Annotated[str, typer.Option("--search", help="A part of the alias or of a destination.")] = "",
    domain: OfDomain = None,
    excel: Excel = False,
) -> int:
    """Write the aliases as CSV, with all their destinations."""
    session = session_of(context)
    return write_lines(file, export_aliases(session.app, session.actor, search, domain, excel=excel))


@app.command()
def delete(context: typer.Context, address: Address, as_json: Json = False) -> int:
    """Remove an alias."""
    session = session_of(context)
    row = session.app.services.aliases.delete(session.actor, session.alias(address).uid)
    return report(session, "Removed", row, as_json=as_json)
