"""What every command has: the product, who asks, and where the log is."""

import os
import pwd
from dataclasses import replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TextIO

import typer

from provision.app import Postroom, open_postroom
from provision.core import address as addresses
from provision.core.access import Actor
from provision.core.errors import InvalidInput
from provision.settings.config import get_settings
from provision.storage.models import Alias, Mailbox, Server
from provision.storage.trouble import require_data_folder
from provision.telemetry import serverlog

LOG_NAME = "cli.log"
MAX_NAME = 80  # of whoever did it, in the log


class Code(IntEnum):
    """Exit codes, as docs/cli.md has them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    WAITING = 3  # done here, not on the mail server yet
    DIFFERENT = 4  # differences, problems or a broken chain were found


class Session:
    """One run of the command line. The database is opened when a command first needs it, so that help needs none."""

    log_path: ClassVar[Path] = Path(LOG_NAME)
    log_file: ClassVar[TextIO | None] = None

    def __init__(self, as_operator: str | None = None) -> None:
        self.as_operator = as_operator
        self._opened: Postroom | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened:
            self._opened.close()

    @cached_property
    def app(self) -> Postroom:
        settings = get_settings()
        require_data_folder(settings.data_dir)
        _log_to(settings.data_dir / LOG_NAME)
        self._opened = open_postroom(settings)
        return self._opened

    @cached_property
    def actor(self) -> Actor:
        """`cli:<login name>`, who may do everything, for they hold the database; or with --as that operator."""
        if self.as_operator is None:
            return Actor.system(f"cli:{login_name()}"[:MAX_NAME])
        actor = self.app.sign_in.actor(self.as_operator)
        return replace(actor, name=f"{actor.name} (cli:{login_name()})"[:MAX_NAME])

    # ---- what a command names --------------------------------------------------------------

    def mailbox(self, address: str) -> Mailbox:
        return self.app.queries.mailbox_by_address(self.actor, addresses.normalise(address))

    def alias(self, address: str) -> Alias:
        return self.app.queries.alias_by_address(self.actor, addresses.normalise_alias(address))

    def server(self, name: str | None) -> Server:
        """The one named, or the only one there is."""
        if name is not None:
            return self.app.queries.server_by_name(self.actor, name)
        servers = self.app.queries.servers(self.actor)
        if len(servers) != 1:
            names = ", ".join(server.name for server in servers) or "none yet; add one with: server add"
            raise InvalidInput(f"Say which mail server; there are: {names}.", code="WHICH_SERVER")
        return servers[0]


def session_of(context: typer.Context) -> Session:
    session: Session = context.find_root().obj
    return session


def login_name() -> str:
    """Who runs this, by the system's word and not by the environment's."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _log_to(path: Path) -> None:
    """Warnings and tracebacks go to a file, so that the output stays the command's own."""
    if Session.log_file:
        Session.log_file.close()
    file = Session.log_file = os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
    )
    serverlog.configure("json", file)
    Session.log_path = path
