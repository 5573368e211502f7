"""Rules that hold for everybody: passwords, the standard quota, retries, automatic import."""

from collections.abc import Iterable
from typing import Annotated

import typer

from provision.cli.output import Json, cell, table, tell
from provision.cli.session import Code, session_of
from provision.core.columns import Column
from provision.core.errors import InvalidInput
from provision.core.policy import NAMES, allowed, meaning
from provision.services.policy import Shown, Source

COLUMNS = (
    Column("rule", value="name"),
    Column("value"),
    Column("from", value="source"),
    Column("otherwise", value=lambda rule: rule.default if rule.source is Source.SET else None),
    Column("may be", value=lambda rule: allowed(rule.name)),
    Column("meaning", value=lambda rule: meaning(rule.name)),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def show(context: typer.Context, as_json: Json = False) -> int:
    """The rules in force, where each comes from, and what it is when nothing is set here."""
    session = session_of(context)
    shown = session.app.services.policy.show(session.actor)
    if as_json:
        return _print(shown, NAMES, as_json)
    table(COLUMNS, shown.rules)
    return Code.DONE


@app.command("set")
def set_(
    context: typer.Context,
    given: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE", help="One rule or several, as `show` names them.")
    ],
    as_json: Json = False,
) -> int:
    """Set rules; they hold at once in every process. All of them or, if one cannot be, none."""
    session = session_of(context)
    changes = _parse(given)
    return _print(session.app.services.policy.edit(session.actor, changes), changes, as_json)


@app.command()
def reset(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="The rules; none: all.")] = None,
    as_json: Json = False,
) -> int:
    """Take rules back to what the environment or the product says."""
    session = session_of(context)
    changes = dict.fromkeys(names or NAMES)
    return _print(session.app.services.policy.edit(session.actor, changes), changes, as_json)


def _parse(given: list[str]) -> dict[str, str]:
    wrong = next((text for text in given if "=" not in text), None)
    if wrong is not None:
        raise InvalidInput(f"Write NAME=VALUE, not “{wrong}”.")
    return {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in given)}


def _print(shown: Shown, names: Iterable[str], as_json: bool) -> int:
    rules = [shown[name] for name in names]
    told = {rule.name: {"value": rule.value, "source": rule.source, "default": rule.default} for rule in rules}
    return tell(as_json, told, *(f"{rule.name}: {cell(rule.value)} ({rule.source})" for rule in rules))
