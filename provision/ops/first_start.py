"""The first mail server, and what is on it: named on the command line or, where nobody types, by the environment."""

from typing import Any

from provision.app import Postroom
from provision.core.access import Actor
from provision.core.errors import Conflict, ProvisionError
from provision.servers.kinds import named_server

NAME = "mail"


def add_server(app: Postroom, actor: Actor, kind: str, settings: dict[str, Any]) -> list[str]:
    """Set it up and import; what there is to tell. Raises: Unreachable, when it is set up and not imported."""
    server = app.services.servers.create(actor, NAME, kind, settings)
    result = app.services.sync.pull(actor, server.uid)
    left_alone = [f"  left alone: {problem}" for problem in result.errors]
    return [f"Imported {result.imported} mailboxes and aliases from the mail server.", *left_alone]


def add_named_server(app: Postroom) -> list[str]:
    """The server that the environment names, where there is none yet; also one that is away or empty at first."""
    actor = Actor.system("first start")
    named = named_server(app.settings.config_dir, app.settings.container)
    if named is None or app.queries.servers(actor):
        return []
    problems = app.services.servers.check_settings(actor, *named)
    try:
        return [*problems, *add_server(app, actor, *named)]
    except Conflict:  # another process was faster
        return []
    except ProvisionError as error:
        return problems or [error.message]
