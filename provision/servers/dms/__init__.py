"""docker-mailserver, reached by its config volume or by docker exec: the two kinds, and what is special to both.

Light: what talks to it is imported when it is first used.
"""

from pathlib import Path
from typing import Any

from provision.core.address import destination_refusal
from provision.core.errors import InvalidInput
from provision.core.texts import N_
from provision.core.traits import USUAL, Feature, Quiet, Traits
from provision.servers.dms.rule import address_rule
from provision.servers.protocol import Kind
from provision.servers.setting import Setting, absolute_path, seconds

# A write makes a large docker-mailserver refuse logins for a while.
QUIET = Quiet(from_accounts=200, seconds=10.0)
CONFIRM_AFTER_SECONDS = 3.0  # a concurrent `setup` has overwritten our line by then, or never will
COST = N_(
    "What a push costs: docker-mailserver ends open IMAP connections for a moment, and refuses logins "
    "while it rebuilds its user list, about 20 seconds at 1,000 accounts. So changes are sent together."
)
CATCH_ALL_COST = N_(
    "With a catch-all each mailbox of its domain gets an alias to itself, and docker-mailserver takes up to twice as "
    "long to rebuild its user list after every change."
)
FILES_TRAITS = Traits(
    address_rule=address_rule,
    destination_rule=destination_refusal,
    quiet=QUIET,
    confirm_after_seconds=CONFIRM_AFTER_SECONDS,
    cost=COST,
    catch_all_cost=CATCH_ALL_COST,
)
EXEC_TRAITS = Traits(
    password="plain",
    features=USUAL | {Feature.ERASE_MAIL},
    address_rule=address_rule,
    destination_rule=destination_refusal,
    quiet=QUIET,
    confirm_after_seconds=CONFIRM_AFTER_SECONDS,
    cost=COST,
    catch_all_cost=CATCH_ALL_COST,
)
KINDS = (
    Kind(
        "dms_files",
        N_("docker-mailserver, by its config volume"),
        "provision.servers.dms.files:DmsFiles",
        (
            Setting("path", N_("folder that is mounted at /tmp/docker-mailserver"), required=True, check=absolute_path),
            Setting("release", N_("docker-mailserver's release, e.g. 16.0.0, to be told what that one refuses")),
        ),
        FILES_TRAITS,
    ),
    Kind(
        "dms_exec",
        N_("docker-mailserver, by docker exec"),
        "provision.servers.dms.exec:DmsExec",
        (
            Setting("container", N_("name of its container, or a label of it as key=value"), required=True),
            Setting(
                "docker_host",
                N_("unix:///…, tcp://host:port or ssh://user@host; empty: DOCKER_HOST, else the local socket"),
            ),
            Setting("tls_path", N_("folder with ca.pem, cert.pem and key.pem, for tcp:// with TLS")),
            Setting(
                "live_cache_seconds",
                N_("how long usage and the state of services are remembered; empty: 60"),
                check=seconds,
            ),
        ),
        EXEC_TRAITS,
    ),
)


def named_server(config_dir: Path | None, container: str | None) -> tuple[str, dict[str, Any]] | None:
    """Kind and settings of the one that is named at a first start. Raises: InvalidInput for two."""
    if config_dir and container:
        raise InvalidInput("Give a config folder or a container, not both.")
    if config_dir:
        return "dms_files", {"path": str(config_dir.resolve())}
    return ("dms_exec", {"container": container}) if container else None
