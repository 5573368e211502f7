"""The key that seals waiting passwords: rotate, retire; it and the log's key: new."""

import typer

from provision.cli.output import say
from provision.cli.session import Code, session_of
from provision.ops import keys
from provision.settings.config import get_settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def rotate(context: typer.Context) -> int:
    """Put a new key in front and seal everything with it; the old ones stay for what is under way."""
    session, path = session_of(context), get_settings().key_file
    count = keys.rotate(path, session.app.database, session.actor)
    say(f"A new key is in {path}; {count} waiting secrets were sealed with it.")
    say("When every process has run on for a minute, drop the old keys: python -m provision key retire")
    return Code.DONE


@app.command()
def retire(context: typer.Context) -> int:
    """Seal again what still needs an old key, and drop the old keys."""
    session, path = session_of(context), get_settings().key_file
    keys.retire(path, session.app.database, session.actor)
    say(f"Only the newest key is left in {path}.")
    return Code.DONE


@app.command()
def new() -> int:
    """Make a key in place of one that is lost for good; what waits with the old one must be set again."""
    settings = get_settings()
    for path in keys.make_new(settings.key_file, settings.chain_key_file):
        say(f"A new key is in {path}.")
        if path == settings.key_file:
            say("Passwords that wait are FAILED at their next try: reset them.")
        else:
            say("What was recorded in the log before can no longer be proved.")
    return Code.DONE
