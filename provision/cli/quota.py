"""Quotas of mailboxes: set, clear."""

from typing import Annotated

import typer

from provision.cli.delivery import report
from provision.cli.output import Json, parse_size, size
from provision.cli.session import session_of

Address = Annotated[str, typer.Argument(help="The mailbox.")]
app = typer.Typer(no_args_is_help=True)


@app.command("set")
def set_(
    context: typer.Context,
    address: Address,
    amount: Annotated[str, typer.Argument(metavar="SIZE", help="E.g. 500M or 2G; 0: none.")],
    messages: Annotated[int | None, typer.Option("--messages", min=0, help="Most messages; 0: any number.")] = None,
    as_json: Json = False,
) -> int:
    """Set the quota of a mailbox."""
    session = session_of(context)
    quota_bytes = parse_size(amount)
    uid = session.mailbox(address).uid
    row = session.app.services.mailboxes.edit(session.actor, uid, quota_bytes=quota_bytes, quota_messages=messages)
    return report(session, f"Quota {size(quota_bytes)} for", row, as_json=as_json)


@app.command()
def clear(context: typer.Context, address: Address, as_json: Json = False) -> int:
    """No limit any more, neither of size nor of messages."""
    session = session_of(context)
    row = session.app.services.mailboxes.edit(
        session.actor, session.mailbox(address).uid, quota_bytes=0, quota_messages=0
    )
    return report(session, "No quota for", row, as_json=as_json)
