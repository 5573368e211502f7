"""Debian's sshd on a port of 127.0.0.1, for this user only, and the home folder of somebody who may sign in there."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.engine import free_port
from tests.waiting import wait_for

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv DOCKER_HOST={engine}
"""


@dataclass(frozen=True)
class Sshd:
    port: int
    folder: Path  # with host_key.pub

    @property
    def url(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def home(self, home: Path, *, host_key: Path | None = None, port: int | None = None) -> Path:
        """A home folder with a key that is let in; the host is known by `host_key`, which defaults to the right one."""
        ssh = home / ".ssh"
        ssh.mkdir(parents=True)
        shutil.copy(self.folder / "user_key", ssh / "id_ed25519")
        public = (host_key or self.folder / "host_key").with_suffix(".pub").read_text()
        (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port or self.port} {public}")
        return home


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path


@contextmanager
def sshd(folder: Path, engine: str) -> Iterator[Sshd]:
    """`engine`: the DOCKER_HOST of those who sign in."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program or not shutil.which("docker"):
        pytest.skip("Docker by ssh is left out: sshd or the docker command is missing (openssh-server, docker.io).")
    if not os.getuid():
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd as root locks itself in
    new_key(folder / "host_key")
    shutil.copy(new_key(folder / "user_key").with_suffix(".pub"), folder / "authorized_keys")
    port = free_port()
    (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder, engine=engine))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log)
    try:
        wait_for(lambda: is_open(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield Sshd(port, folder)
    finally:
        process.terminate()
        process.wait(10)


def is_open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
