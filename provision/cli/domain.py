"""Domains: add, list, edit, delete."""

from typing import Annotated

import typer

from provision.cli.output import Json, parse_size, size, tell, used
from provision.cli.session import session_of
from provision.cli.views import listed, view
from provision.core import address as addresses
from provision.core.columns import Column

Name = Annotated[str, typer.Argument(help="The domain, e.g. example.com.")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]
Quota = Annotated[str | None, typer.Option("--quota", metavar="SIZE", help="Quota of new mailboxes, e.g. 2G; 0: none.")]
COLUMNS = (
    Column("domain", value=lambda row: addresses.readable(row["name"])),
    Column("server"),
    Column("mailboxes"),
    Column("quotas", value=lambda row: used(row["quota_bytes"])),
    Column("used", value=lambda row: used(row["used_bytes"])),
    Column("description"),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    server: Annotated[
        str | None, typer.Option("--server", help="Its mail server; needed where there are several.")
    ] = None,
    description: Description = None,
    quota: Quota = None,
    as_json: Json = False,
) -> int:
    """Add a domain to a mail server."""
    session = session_of(context)
    row = session.app.services.domains.create(
        session.actor,
        name,
        session.server(server).name,
        description=description or "",
        default_quota_bytes=None if quota is None else parse_size(quota),
    )
    return tell(as_json, view(row), f"Added the domain {row.name}.")


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> int:
    """The domains with their mailboxes and quotas."""
    session = session_of(context)
    return listed(session.app.queries.domains(session.actor), COLUMNS, "There is no domain yet.", as_json=as_json)


@app.command()
def edit(
    context: typer.Context, name: Name, description: Description = None, quota: Quota = None, as_json: Json = False
) -> int:
    """Change the description or the quota of mailboxes made from now on."""
    session = session_of(context)
    row = session.app.queries.domain_by_name(session.actor, addresses.normalise_domain(name))
    quota_bytes = None if quota is None else parse_size(quota)
    row = session.app.services.domains.edit(
        session.actor, row.uid, description=description, default_quota_bytes=quota_bytes
    )
    default = "the product's default" if row.default_quota_bytes is None else size(row.default_quota_bytes)
    return tell(as_json, view(row), f"Changed the domain {row.name}; quota of new mailboxes: {default}.")


@app.command()
def delete(context: typer.Context, name: Name, as_json: Json = False) -> int:
    """Remove a domain that nothing is left in."""
    session = session_of(context)
    row = session.app.queries.domain_by_name(session.actor, addresses.normalise_domain(name))
    left = session.app.services.domains.delete(session.actor, row.uid)
    still = f" Still on the mail server, and imported again by the next import: {', '.join(left)}." if left else ""
    return tell(as_json, {"deleted": row.name, "left_on_server": left}, f"Deleted the domain {row.name}.{still}")
