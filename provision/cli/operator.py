"""The people who sign in to the dashboard: add, list, password, edit, unlock, sign out."""

from typing import Annotated, Any

import typer

from provision.cli.output import Json, tell
from provision.cli.secrets import FromStdin, Generate, ask_new_password
from provision.cli.session import Session, session_of
from provision.cli.views import listed, view
from provision.core.access import Role
from provision.core.columns import Column
from provision.core.errors import InvalidInput, NotFound
from provision.core.secret import Secret
from provision.storage.models import Operator

Username = Annotated[str, typer.Argument(help="The name they sign in with.")]
Domains = Annotated[list[str] | None, typer.Option("--domain", help="A domain of theirs; several times for several.")]
DisplayName = Annotated[str | None, typer.Option("--name", help="Their name.")]
Email = Annotated[str | None, typer.Option("--email", help="Their own mailbox: nobody below them may change it.")]
COLUMNS = (
    Column("operator", value="username"),
    Column("role"),
    Column("domains"),
    Column("enabled"),
    Column("last login", value="last_login_at"),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    username: Username,
    role: Annotated[Role, typer.Option("--role", help="What they may do.")],
    domains: Domains = None,
    name: DisplayName = None,
    email: Email = None,
    from_stdin: FromStdin = False,
    generate: Generate = False,
    as_json: Json = False,
) -> int:
    """Add an operator."""
    session = session_of(context)
    password = ask_new_password(from_stdin=from_stdin, generate=generate)
    row, made = session.app.services.operators.create(
        session.actor, username, role, display_name=name or "", email=email, domains=domains or (), password=password
    )
    return _report("Added the operator", row, made, as_json)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> int:
    """Everybody who may sign in."""
    session = session_of(context)
    return listed(session.app.queries.operators(session.actor), COLUMNS, "There is no operator yet.", as_json=as_json)


@app.command()
def passwd(
    context: typer.Context,
    username: Username,
    from_stdin: FromStdin = False,
    generate: Generate = False,
    as_json: Json = False,
) -> int:
    """Set a new password and end any lock."""
    session = session_of(context)
    uid = _find(session, username)["uid"]
    password = ask_new_password(from_stdin=from_stdin, generate=generate)
    row, made = session.app.services.operators.set_password(session.actor, uid, password)
    return _report("New password for", row, made, as_json)


@app.command()
def edit(
    context: typer.Context,
    username: Username,
    role: Annotated[Role | None, typer.Option("--role", help="What they may do.")] = None,
    domains: Domains = None,
    no_domains: Annotated[bool, typer.Option("--no-domains", help="No domain any more.")] = False,
    name: DisplayName = None,
    email: Email = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether they may sign in.")] = None,
    as_json: Json = False,
) -> int:
    """Change what is named; domains given replace those they have."""
    session = session_of(context)
    if domains and no_domains:
        raise InvalidInput("Either --domain or --no-domains, not both.", code="WHICH_DOMAINS")
    row = session.app.services.operators.edit(
        session.actor,
        _find(session, username)["uid"],
        role=role,
        domains=[] if no_domains else domains or None,
        display_name=name,
        email=email,
        enabled=enabled,
    )
    return _report("Changed the operator", row, None, as_json)


@app.command()
def unlock(context: typer.Context, username: Username, as_json: Json = False) -> int:
    """End a lock that wrong passwords made."""
    session = session_of(context)
    row = session.app.services.operators.unlock(session.actor, _find(session, username)["uid"])
    return _report("Unlocked", row, None, as_json)


@app.command("end-sessions")
def end_sessions(context: typer.Context, username: Username, as_json: Json = False) -> int:
    """Sign an operator out everywhere."""
    session = session_of(context)
    row = session.app.services.operators.end_sessions(session.actor, _find(session, username)["uid"])
    return _report("Signed out everywhere:", row, None, as_json)


def _find(session: Session, username: str) -> Any:
    for row in session.app.queries.operators(session.actor):
        if row["username"] == username.strip().lower():
            return row
    raise NotFound(f"There is no operator called {username}.", code="OPERATOR_NOT_FOUND")


def _report(done: str, row: Operator, made: Secret | None, as_json: bool) -> int:
    if made is None:
        return tell(as_json, view(row), f"{done} {row.username}.")
    shown = f"One-time password, shown this once only: {made.reveal()}"
    return tell(as_json, {**view(row), "one_time_password": made.reveal()}, f"{done} {row.username}.", shown)
