"""The files in a container as read at one moment, by one exec, and what forbids to write them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from provision.core.errors import Unreachable
from provision.core.texts import N_
from provision.servers.dms.config import READ_FILES
from provision.servers.dms.diagnosis import refuses_forwards
from provision.servers.dms.docker_exec import Container
from provision.servers.dms.scripts import READ_SCRIPT

FOLDER = "/tmp/docker-mailserver"  # noqa: S108  inside the container
SNAPSHOT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files as read at one moment, and what forbids to write them."""

    texts: Mapping[str, str]
    provisioner: str
    release: str  # and "1" behind it where quotas are on
    single_files: str
    links: str
    hard_links: str
    writable: bool

    @property
    def refuses_forwards(self) -> bool:
        """Whether this release refuses mail for catch-alls and forwards."""
        release, _, quotas = self.release.partition(" ")
        return quotas == "1" and refuses_forwards(release)

    def trouble(self, name: str) -> str | None:
        if self.single_files:
            mounted = N_(f"In the container {name} single files are mounted ({self.single_files})")
            return N_(f"{mounted}; mount the whole folder {FOLDER}.")
        if self.hard_links:
            return N_(
                f"In the container {name} files have further names (hard links: {self.hard_links}), which a new file "
                "would not have; make each a file of its own, or a symbolic link."
            )
        if not self.writable:
            return N_(f"The folder {FOLDER} in the container {name} is read-only; mount it without “:ro”.")
        return None


def read_snapshot(container: Container) -> Snapshot:
    """One exec for all. A missing file is empty; bytes that are no UTF-8 survive as surrogates."""
    mark = secrets.token_hex(16)
    ran = container.run(["sh", "-c", READ_SCRIPT, "read", mark, *READ_FILES], keep_bytes=SNAPSHOT_BYTES)
    head, *bodies = to_text(ran.stdout).split(f"\n{mark}\n")
    if ran.exit_code or len(bodies) != len(READ_FILES) + 1:
        why = ran.errors or N_("the answer was incomplete")
        raise Unreachable(f"The files in {FOLDER} of the container {container.name} cannot be read: {why}.")
    provisioner, release, single_files, links, hard_links, writable = (line.strip() for line in head.split("\n"))
    if provisioner != "FILE":
        raise Unreachable(
            f"The mail server in {container.name} keeps its accounts in {provisioner} "
            "(ACCOUNT_PROVISIONER); only FILE can be managed here."
        )
    texts = dict(zip(READ_FILES, bodies, strict=False))
    return Snapshot(texts, provisioner, release, single_files, links, hard_links, writable == "yes")


def to_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
