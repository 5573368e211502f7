"""What the tests hold a mail server by: its config files as texts, whatever way the kind under test reaches them."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from provision.servers.dms.docker_exec import Container, Ran
from provision.servers.kinds import open_server
from provision.servers.protocol import MailServer
from tests.servers.engine import IMAGE, LABEL, Engine

FOLDER = "/tmp/docker-mailserver"
FILES = ("postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf")
ACCOUNTS, VIRTUAL, QUOTAS = FILES


class Rig(Protocol):
    """A mail server under test."""

    kind: str

    def open(self) -> MailServer:
        """A new opening, as a push does it."""

    def put(self, texts: Mapping[str, str]) -> None:
        """Make these the config files, by hand; the others are gone."""

    def text(self, name: str) -> str:
        """A config file as it is now; empty when missing."""


class FolderRig:
    """Reached as a local folder."""

    kind = "dms_files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> MailServer:
        return open_server(self.kind, {"path": str(self.folder)}, 10)

    def put(self, texts: Mapping[str, str]) -> None:
        put_files(self.folder, texts)

    def text(self, name: str) -> str:
        path = self.folder / name
        return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


class ContainerRig(FolderRig):
    """A container of the test image, the folder is its config volume. Without `services` only `setup` works in it."""

    kind = "dms_exec"

    def __init__(self, engine: Engine, folder: Path, *, services: bool = False, **options: Any) -> None:
        super().__init__(folder)
        self.engine = engine
        volumes = options.pop("volumes", {str(folder): {"bind": FOLDER, "mode": "rw"}})
        environment = {"DMS_RELEASE": options.pop("release", "v15.1.0"), **options.pop("environment", {})}
        command = options.pop("command", None if services else ["sleep", "infinity"])
        self.container = engine.client.containers.run(
            IMAGE,
            command,
            detach=True,
            init=not services,
            labels={LABEL: "1", **options.pop("labels", {})},
            hostname="mail.example.test",
            volumes=volumes,
            environment=environment,
            **options,
        )
        self.settings = {"container": self.container.name, "docker_host": engine.host}

    def open(self, timeout_seconds: float = 60, **settings: Any) -> MailServer:
        return open_server(self.kind, {**self.settings, **settings}, timeout_seconds)

    def run(self, *argv: str, stdin: bytes = b"") -> Ran:
        return Container(self.settings, 30).run(argv, stdin)

    @property
    def address(self) -> str:
        self.container.reload()
        networks = self.container.attrs["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["IPAddress"])

    def remove(self) -> None:
        self.container.remove(force=True)


class LiveRig:
    """Somebody's real container: the files are put and read by exec."""

    kind = "dms_exec"

    def __init__(self, container: str) -> None:
        self.settings = {"container": container}

    def open(self) -> MailServer:
        return open_server(self.kind, self.settings, 60)

    def run(self, *argv: str, stdin: bytes = b"") -> Ran:
        return Container(self.settings, 60).run(argv, stdin, keep_bytes=1 << 26)

    def put(self, texts: Mapping[str, str]) -> None:
        for name in FILES:
            content = texts.get(name, "").encode("utf-8", "surrogateescape")
            self.run("sh", "-c", 'head -c "$2" > "$1"', "put", f"{FOLDER}/{name}", str(len(content)), stdin=content)

    def text(self, name: str) -> str:
        ran = self.run("sh", "-c", 'cat "$1" 2>/dev/null || :', "text", f"{FOLDER}/{name}")
        return ran.stdout.decode("utf-8", "surrogateescape")


def put_files(folder: Path, texts: Mapping[str, str]) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
