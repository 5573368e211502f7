"""The list of kinds of mail server.

A kind is a folder or module with one class that speaks `provision.servers.protocol`. It reads and writes; comparing,
retrying, logging and locking are done once, in `provision.sync`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from provision.core.errors import InvalidInput
from provision.core.texts import N_
from provision.core.traits import Traits
from provision.servers import dms
from provision.servers.protocol import Kind, MailServer
from provision.servers.setting import Setting, checked, one_of, port, yes_or_no

SECURITY = ("tls", "starttls", "none")

# What every kind may be told for checking a login by IMAP.
LOGIN_SETTINGS = (
    Setting("imap_host", N_("where people log in, for checking a password")),
    Setting("imap_port", N_("its port; 993 if not said"), check=port),
    Setting(
        "imap_security", N_("tls (default), starttls or none"), check=one_of(N_("tls, starttls or none"), *SECURITY)
    ),
    Setting("imap_verify", N_("false: accept any certificate"), check=yes_or_no),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in dms.KINDS}
named_server = dms.named_server  # the one that command line or environment name at a first start


def kind_of(name: str) -> Kind:
    """Raises: InvalidInput for an unknown kind."""
    if name not in KINDS:
        raise InvalidInput(f"There is no mail-server kind “{name}”; there are: {', '.join(KINDS)}.")
    return KINDS[name]


def traits_of(name: str) -> Traits:
    """Raises: InvalidInput for an unknown kind."""
    return kind_of(name).traits


def settings_of(name: str) -> tuple[Setting, ...]:
    """All that a server of this kind can be told. Raises: InvalidInput for an unknown kind."""
    return (*kind_of(name).settings, *LOGIN_SETTINGS)


def check_settings(name: str, given: Mapping[str, Any]) -> None:
    """Raises: InvalidInput for a setting that is unknown, missing or cannot be used."""
    checked(settings_of(name), name, given)


def open_server(kind: str, settings: Mapping[str, Any], timeout_seconds: float = 10.0) -> MailServer:
    """The server behind a Server row. Raises: InvalidInput when a setting is missing."""
    known = kind_of(kind)
    for setting in known.settings:
        if setting.required and not (settings.get(setting.name) or setting.default):
            raise InvalidInput(f"A server of kind {kind} needs the setting “{setting.name}”: {setting.label}.")
    defaults = {setting.name: setting.default for setting in known.settings if setting.default}
    module, _, class_name = known.target.partition(":")
    server: MailServer = getattr(import_module(module), class_name)({**defaults, **settings}, timeout_seconds)
    return server
