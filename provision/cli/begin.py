"""The first step on a new machine: a real mail server, or a small company to look around in."""

from pathlib import Path
from typing import Annotated, Any

import typer

from provision.cli.session import Code, Session, session_of
from provision.core.errors import Conflict, Unreachable
from provision.ops.first_start import add_server
from provision.ops.sample import is_sample, make_sample
from provision.servers.kinds import named_server
from provision.settings.config import Settings


def init(
    context: typer.Context,
    config_dir: Annotated[
        Path | None, typer.Option(help="Config volume of a docker-mailserver; what is on it is imported.")
    ] = None,
    container: Annotated[str | None, typer.Option(help="Name of its container, to work by docker exec.")] = None,
) -> int:
    """Set up the database, and the mail server named; with none named, a sample company. Does nothing twice."""
    session = session_of(context)
    given = config_dir or container
    settings = session.app.settings
    named = named_server(config_dir, container) if given else named_server(settings.config_dir, settings.container)
    if servers := session.app.queries.servers(session.actor):
        if named and is_sample(servers):
            raise Conflict(_instead_of_the_sample(settings), code="SAMPLE_COMPANY")
        print(f"Mail servers: {', '.join(server.name for server in servers)}.")
        if given and named not in [(server.kind, server.settings) for server in servers]:
            print("What is named now is not among them; it is set up at the first start only. To add it:")
            print("python -m provision server add, or Settings > Mail servers.")
        return Code.DONE
    if named:
        return _real_server(session, *named)
    folder = (session.app.settings.data_dir / "sample-config").resolve()
    make_sample(session.app, folder)
    print(f"A sample company was set up; its mail server's config files are in {folder}.")
    return Code.DONE


def _instead_of_the_sample(settings: Settings) -> str:
    if settings.database_url:
        way = "Name an empty one in POSTROOM_DATABASE_URL"
    else:
        way = f"Move the folder {settings.data_dir.resolve()} away, or name a new one in POSTROOM_DATA_DIR"
    sample = "The database holds the sample company, which is not mixed with a real mail server."
    return f"{sample} {way}; then run this again."


def _real_server(session: Session, kind: str, settings: dict[str, Any]) -> int:
    if problems := session.app.services.servers.check_settings(session.actor, kind, settings):
        print("\n".join(problems))
        return Code.DIFFERENT
    try:
        print("\n".join(add_server(session.app, session.actor, kind, settings)))
    except Unreachable as error:
        print(error.message)
        return Code.DIFFERENT
    return Code.DONE
