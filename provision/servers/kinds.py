"""Mail servers: the protocol every kind speaks, and the list of kinds.

A kind is one module with one class. It reads and writes; comparing, retrying, logging and locking
are done once, in `provision.sync`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from provision.core.errors import InvalidInput
from provision.core.state import Change, Outcome, ServerState
from provision.core.texts import N_


class MailServer(Protocol):
    """One mail server, opened for one push or read.

    `supports` names what this kind can do beyond the common ground:
    `quota_messages` (limit on the number of messages), `erase_mail` (delete a mailbox with its mail),
    `plain_password` (changes carry the password itself; otherwise a hash in Dovecot's notation), `live` (it has a
    method `report() -> LiveReport`, for what only a running server can tell; it may raise MailServerError).
    """

    supports: Collection[str]

    def recover(self) -> None:
        """Put right what a killed push has left; only the one push that may write asks. Raises: Unreachable."""

    def read(self) -> ServerState:
        """What the server holds now. Raises: Unreachable."""

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """Carry out the batch and yield one Outcome per change, in order, as they happen.

        A change that is refused is an Outcome with `error`. Raises: Unreachable, when nothing more
        reaches the server; the changes not yet yielded count as not done.
        """

    def check(self) -> list[str]:
        """What is wrong with the settings or the server, as sentences; empty when all is well."""

    def close(self) -> None:
        """Give back connections. Never raises."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mail server as the settings page and `server add` show it."""

    name: str
    label: str
    target: str  # "module:Class", imported when first used
    settings: Mapping[str, str]  # setting → what it means; the first one is required


# What every kind may be told for checking a login by IMAP.
LOGIN_SETTINGS: Mapping[str, str] = N_(
    {
        "imap_host": "where people log in, for checking a password",
        "imap_port": "its port; 993 if not said",
        "imap_security": "tls (default), starttls or none",
        "imap_verify": "false: accept any certificate",
    }
)


SECURITY = ("tls", "starttls", "none")


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text[:6]) < 65536


def _is_seconds(text: str) -> bool:
    return text.isdecimal() and len(text) < 7


# Settings that are not free text: whether a value can be used, and what it should be.
VALUES: Mapping[str, tuple[Callable[[str], bool], str]] = N_(
    {
        "imap_port": (_is_port, "a number from 1 to 65535"),
        "imap_security": (SECURITY.__contains__, "tls, starttls or none"),
        "imap_verify": (("true", "false", "yes", "no", "1", "0").__contains__, "true or false"),
        "live_cache_seconds": (_is_seconds, "a number of seconds"),
    }
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "dms_files",
            N_("docker-mailserver, by its config volume"),
            "provision.servers.dms.files:DmsFiles",
            N_({"path": "folder that is mounted at /tmp/docker-mailserver"}),
        ),
        Kind(
            "dms_exec",
            N_("docker-mailserver, by docker exec"),
            "provision.servers.dms.exec:DmsExec",
            N_(
                {
                    "container": "name of its container, or a label of it as key=value",
                    "docker_host": "unix:///…, tcp://host:port or ssh://user@host; "
                    "empty: DOCKER_HOST, else the local socket",
                    "tls_path": "folder with ca.pem, cert.pem and key.pem, for tcp:// with TLS",
                    "live_cache_seconds": "how long usage and the state of services are remembered; empty: 60",
                }
            ),
        ),
    )
}


def kind_of(name: str) -> Kind:
    """Raises: InvalidInput for an unknown kind."""
    if name not in KINDS:
        raise InvalidInput(f"There is no mail-server kind “{name}”; there are: {', '.join(KINDS)}.")
    return KINDS[name]


def server_class(name: str) -> type[Any]:
    module, _, class_name = kind_of(name).target.partition(":")
    return getattr(import_module(module), class_name)  # type: ignore[no-any-return]


def open_server(kind: str, settings: Mapping[str, Any], timeout_seconds: float = 10.0) -> MailServer:
    """The server behind a Server row. Raises: InvalidInput when a setting is missing."""
    known = kind_of(kind)
    required = next(iter(known.settings))
    if not settings.get(required):
        raise InvalidInput(f"A server of kind {kind} needs the setting “{required}”: {known.settings[required]}.")
    server: MailServer = server_class(kind)(settings, timeout_seconds)
    return server
