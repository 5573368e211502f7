"""Domains: add, list, edit, delete."""

from typing import Annotated

import typer

from provision.cli.output import Json, parse_size, say, say_json, size, table, used
from provision.cli.session import Code, session_of
from provision.cli.views import view, without_ids
from provision.core import address as addresses

Name = Annotated[str, typer.Argument(help="The domain, e.g. example.com.")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]
Quota = Annotated[str | None, typer.Option("--quota", metavar="SIZE", help="Quota of new mailboxes, e.g. 2G; 0: none.")]
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
    if as_json:
        say_json(view(row))
    else:
        say(f"Added the domain {row.name}.")
    return Code.DONE


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> int:
    """The domains with their mailboxes and quotas."""
    session = session_of(context)
    rows = session.app.queries.domains(session.actor)
    if as_json:
        say_json([without_ids(row) for row in rows])
        return Code.DONE
    facts = [
        (
            addresses.readable(d["name"]),
            d["server"],
            d["mailboxes"],
            used(d["quota_bytes"]),
            used(d["used_bytes"]),
            d["description"],
        )
        for d in rows
    ]
    table(("domain", "server", "mailboxes", "quotas", "used", "description"), facts, "There is no domain yet.")
    return Code.DONE


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
    if as_json:
        say_json(view(row))
    else:
        default = "the product's default" if row.default_quota_bytes is None else size(row.default_quota_bytes)
        say(f"Changed the domain {row.name}; quota of new mailboxes: {default}.")
    return Code.DONE


@app.command()
def delete(context: typer.Context, name: Name, as_json: Json = False) -> int:
    """Remove a domain that nothing is left in."""
    session = session_of(context)
    row = session.app.queries.domain_by_name(session.actor, addresses.normalise_domain(name))
    session.app.services.domains.delete(session.actor, row.uid)
    if as_json:
        say_json({"deleted": row.name})
    else:
        say(f"Deleted the domain {row.name}.")
    return Code.DONE
