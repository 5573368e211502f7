"""The first step on a new machine: a real mail server, or a small company to look around in."""

from pathlib import Path
from typing import Annotated

import typer

from provision.cli.session import Code, Session, session_of
from provision.errors import InvalidInput, Unreachable
from provision.sample import make_sample


def init(
    context: typer.Context,
    config_dir: Annotated[
        Path | None, typer.Option(help="Config volume of a docker-mailserver; what is on it is imported.")
    ] = None,
    container: Annotated[str | None, typer.Option(help="Name of its container, to work by docker exec.")] = None,
) -> int:
    """Set up the database, and the mail server named; with none named, a sample company. Does nothing twice."""
    session = session_of(context)
    if config_dir and container:
        raise InvalidInput("Give --config-dir or --container, not both.")
    if servers := session.app.queries.servers(session.actor):
        print(f"Mail servers: {', '.join(server.name for server in servers)}.")
        if config_dir or container:
            print("They stay as they are; to add another one: server add")
        return Code.DONE
    if config_dir or container:
        return _real_server(session, config_dir, container)
    folder = (session.app.settings.data_dir / "sample-config").resolve()
    make_sample(session.app, folder)
    print(f"A sample company was set up; its mail server's config files are in {folder}.")
    return Code.DONE


def _real_server(session: Session, config_dir: Path | None, container: str | None) -> int:
    kind, setting = (
        ("dms_files", {"path": str(config_dir.resolve())}) if config_dir else ("dms_exec", {"container": container})
    )
    if problems := session.app.sync.check(kind, setting):
        print("\n".join(problems))
        return Code.DIFFERENT
    server = session.app.provisioner.create_server(session.actor, "mail", kind, setting)
    try:
        result = session.app.provisioner.pull(session.actor, server.uid)
    except Unreachable as error:
        print(error.message)
        return Code.DIFFERENT
    print(f"Imported {result.imported} mailboxes and aliases from the mail server.")
    for problem in result.errors:
        print(f"  left alone: {problem}")
    return Code.DONE
