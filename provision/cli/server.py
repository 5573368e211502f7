"""Mail servers: add, list, check, edit, delete."""

from collections.abc import Iterable
from typing import Annotated

import typer

from provision.cli.output import Json, card, cell, say, say_json, tell
from provision.cli.secrets import ask_secret
from provision.cli.session import Code, session_of
from provision.cli.views import listed, view
from provision.core.columns import Column
from provision.core.errors import InvalidInput
from provision.core.secret import Secret
from provision.servers.kinds import KINDS, LOGIN_SETTINGS, settings_of
from provision.servers.setting import Setting


def _names(settings: Iterable[Setting]) -> str:
    return ", ".join(setting.name for setting in settings)


KIND_HELP = "; ".join(f"{kind.name}: {kind.label} ({_names(kind.settings)})" for kind in KINDS.values())
SETTING_HELP = (
    f"A setting of its kind as name=value; also {_names(LOGIN_SETTINGS)}. Several times for several. "
    "name=- for a secret one: it is asked for, or is the next line of stdin."
)
Name = Annotated[str, typer.Argument(help="What the server is called here.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help=SETTING_HELP)]
Quiet = Annotated[float | None, typer.Option("--quiet", help="Seconds for which changes are gathered; -1: automatic.")]
COLUMNS = (
    Column("server", value="name"),
    Column("kind"),
    Column("accounts"),
    Column("last read", value="last_read_at"),
    Column("last written", value="last_write_at"),
    Column("state", value=lambda row: row.alarm or row.error or "well"),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    kind: Annotated[str, typer.Argument(help=KIND_HELP)],
    settings: Settings = None,
    quiet: Quiet = None,
    as_json: Json = False,
) -> int:
    """Add a mail server. It is not spoken to; see `server check`."""
    session = session_of(context)
    quiet_seconds = None if quiet is None or quiet < 0 else quiet
    row = session.app.services.servers.create(
        session.actor, name, kind, _pairs(kind, settings), quiet_seconds=quiet_seconds
    )
    said = f"Added the mail server {row.name}. See whether all is well with it: python -m provision server check"
    return tell(as_json, view(row), said)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> int:
    """The mail servers and how they are."""
    session = session_of(context)
    rows = session.app.queries.servers(session.actor)
    return listed(rows, COLUMNS, "There is no mail server yet.", as_json=as_json)


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Needed where there are several.")] = None,
    as_json: Json = False,
) -> int:
    """Say what is wrong with a mail server or its settings; exit code 4 if anything is."""
    session = session_of(context)
    row = session.server(name)
    problems = session.app.services.servers.check(session.actor, row.uid)
    lines = map(cell, problems or [f"All is well with {row.name}."])
    code = Code.DIFFERENT if problems else Code.DONE
    return tell(as_json, {"server": row.name, "problems": problems}, *lines, code=code)


@app.command()
def edit(
    context: typer.Context,
    name: Name,
    settings: Settings = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", metavar="NAME", help="Remove a setting.")] = None,
    quiet: Quiet = None,
    as_json: Json = False,
) -> int:
    """Change settings; those not named stay."""
    session = session_of(context)
    row = session.server(name)
    changed = {**row.settings, **_pairs(row.kind, settings)}
    for setting in unset or ():
        changed.pop(setting, None)
    row = session.app.services.servers.edit(
        session.actor,
        row.uid,
        settings=changed if settings or unset else None,
        quiet_seconds=quiet,
        expected_version=row.version,
    )
    if as_json:
        say_json(view(row))
    else:
        say(f"Changed the mail server {row.name}.")
        card({**row.settings, "quiet time": "automatic" if row.quiet_seconds is None else f"{row.quiet_seconds:g} s"})
    return Code.DONE


def _pairs(kind: str, settings: list[str] | None) -> dict[str, str | Secret]:
    secret = {setting.name for setting in settings_of(kind) if setting.secret}
    pairs: dict[str, str | Secret] = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"“{text}” is no setting; write name=value.", code="INVALID_SETTING")
        pairs[name] = ask_secret(name) if name in secret and value == "-" else value
    return pairs


@app.command()
def delete(context: typer.Context, name: Name, as_json: Json = False) -> int:
    """Forget a mail server that has no domains here; nothing changes on it."""
    session = session_of(context)
    row = session.server(name)
    session.app.services.servers.delete(session.actor, row.uid)
    return tell(as_json, {"deleted": row.name}, f"Deleted the mail server {row.name}.")
