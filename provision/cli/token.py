"""Programs that may call the API: add, list, revoke."""

from typing import Annotated

import typer

from provision.cli.output import MAX_DAYS, Json, say, tell
from provision.cli.session import Code, session_of
from provision.cli.views import listed, without_ids
from provision.core.columns import Column
from provision.services.tokens import in_days, state

Name = Annotated[str, typer.Argument(help="What it is called; the log speaks of token:NAME.")]
COLUMNS = (
    Column("token", value="name"),
    Column("state", value=state),
    Column("scopes"),
    Column("domains", value=lambda row: "all" if row["everywhere"] else row["domains"]),
    Column("until", value="expires_at"),
    Column("last used", value="last_used_at"),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    scopes: Annotated[
        list[str], typer.Option("--scope", help="What it may do, e.g. mailbox:write; several times for several.")
    ],
    domains: Annotated[
        list[str] | None, typer.Option("--domain", help="A domain it may see and change; none: all.")
    ] = None,
    networks: Annotated[
        list[str] | None, typer.Option("--network", help="Where it may come from, e.g. 10.0.0.0/8.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=0, max=MAX_DAYS, help="How long it lives; 0: until it is revoked.")
    ] = 365,
    as_json: Json = False,
) -> int:
    """Make a token and print it, this once only."""
    session = session_of(context)
    row, token = session.app.services.tokens.create(
        session.actor, name, scopes, domains=domains or None, networks=networks or (), expires_at=in_days(days)
    )
    shown = {**without_ids(session.app.services.tokens.by_name(session.actor, row.name)), "token": token.reveal()}
    lines = f"Made the token {row.name}.", f"The token, shown this once only: {token.reveal()}"
    return tell(as_json, shown, *lines)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> int:
    """Every token, revoked ones too."""
    session = session_of(context)
    return listed(session.app.services.tokens.tokens(session.actor), COLUMNS, "There is no token yet.", as_json=as_json)


@app.command()
def revoke(context: typer.Context, name: Name) -> int:
    """End a token, from the next call on."""
    session = session_of(context)
    session.app.services.tokens.revoke(session.actor, session.app.services.tokens.by_name(session.actor, name)["uid"])
    say(f"Revoked the token {name}.")
    return Code.DONE
