"""The command line, `python -m provision`: one module per noun, one function per verb.

Every function returns its exit code; `main` turns whatever goes wrong into a sentence and a code. See docs/cli.md.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import structlog
import typer

from provision.app import calm_collector
from provision.cli import (
    alias,
    audit,
    csvs,
    domain,
    key,
    log,
    mailbox,
    operator,
    policy,
    quota,
    server,
    sync,
    token,
    upkeep,
)
from provision.cli.begin import init
from provision.cli.session import Code, Session
from provision.core.errors import ProvisionError
from provision.telemetry import serverlog

PROGRAM = "python -m provision"
EPILOG = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 done here, but not on the mail server yet; "
    "4 differences, problems or a broken chain were found."
)
NOUNS = {
    "server": server,
    "domain": domain,
    "mailbox": mailbox,
    "alias": alias,
    "quota": quota,
    "sync": sync,
    "log": log,
    "audit": audit,
    "operator": operator,
    "token": token,
    "key": key,
    "policy": policy,
    "csv": csvs,
}

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, epilog=EPILOG)
for _name, _module in NOUNS.items():
    app.add_typer(_module.app, name=_name, help=_module.__doc__)

for _command in (init, upkeep.worker, upkeep.doctor, upkeep.backup, upkeep.restore):
    app.command()(_command)


@app.callback()
def options(
    context: typer.Context,
    as_operator: Annotated[
        str | None, typer.Option("--as", metavar="USERNAME", help="Act as this operator, with their role and domains.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Mailboxes, aliases and quotas of docker-mailserver: what is wanted, what has arrived, who did it."""
    context.obj = context.with_resource(Session(as_operator))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code. Nothing is raised, except with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a name in a script that the terminal has not is no reason to stop
    serverlog.configure(file=sys.stderr)
    calm_collector()
    try:
        return int(app(args=given, prog_name=PROGRAM, standalone_mode=False) or 0)
    except typer.TyperException as error:
        show = getattr(error, "show", None)  # with the usage
        return error.exit_code if show and show() is None else _complain(str(error))
    except ProvisionError as error:
        return _complain(f"{error.message} [{error.code}]")
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}." if error.filename else f"{error}.")
    except (typer.Abort, KeyboardInterrupt):
        return _complain("Cancelled; nothing more was done.")
    except UnicodeEncodeError:
        return _complain("What was given holds bytes that are no UTF-8.")
    except Exception as error:
        if "--debug" in given:
            raise
        return _complain(_unexpected(error))


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return Code.REFUSED


def _unexpected(error: Exception) -> str:
    structlog.get_logger(__name__).exception("unexpected error on the command line")
    place = f"The details are in {Session.log_path}; to" if Session.log_file else "To"
    return (
        f"Something unexpected went wrong ({type(error).__name__}). "
        f"{place} see them here, run the command again with --debug in front."
    )
