"""The key that seals waiting passwords: rotate, retire."""

import typer

from provision import keys
from provision.cli.output import say
from provision.cli.session import Code, session_of

app = typer.Typer(no_args_is_help=True)


@app.command()
def rotate(context: typer.Context) -> int:
    """Put a new key in front and seal everything with it; the old ones stay for what is under way."""
    session = session_of(context)
    count = keys.rotate(session.app, session.actor)
    say(f"A new key is in {session.app.settings.key_file}; {count} waiting secrets were sealed with it.")
    say("When every process has run on for a minute, drop the old keys: python -m provision key retire")
    return Code.DONE


@app.command()
def retire(context: typer.Context) -> int:
    """Seal anew what still needs an old key, and drop the old keys."""
    session = session_of(context)
    keys.retire(session.app, session.actor)
    say(f"Only the newest key is left in {session.app.settings.key_file}.")
    return Code.DONE
