"""A Docker engine for the tests: the one that is running, or a `dockerd` of our own, started and stopped here.

Everything of ours lives in a cache folder (images, so that the second run is quick) and in a folder for the
moment (socket, pid). The base image is made by debootstrap from the mirror that this machine's apt uses.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from filelock import FileLock, Timeout

from tests.servers.certificates import Authority
from tests.waiting import comes_true

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "postroom-tests"
RUN = Path(tempfile.gettempdir()) / f"postroom-engine-{os.getuid()}"
SOCKET = f"unix://{RUN}/docker.sock"
TLS = RUN / "tls"  # certificates of its second door, and `address`, where that is
LABEL = "postroom-test"
IMAGE = "postroom-test-dms"
BASE = "postroom-test-base"
SUITE = "bookworm"
PACKAGES = "dovecot-core,dovecot-imapd,dovecot-pop3d,dovecot-lmtpd,postfix,supervisor,procps"
LEFT_OUT = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/locale", "./usr/share/man")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
START_SECONDS = 40
LOCK_SECONDS = 100


class NoEngine(Exception):
    """No Docker engine can be had here; the text says why."""


class Engine:
    """Use as a context. Raises: NoEngine."""

    def __init__(self) -> None:
        self.host = ""
        self.client: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        CACHE.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(CACHE / "lock")

    def __enter__(self) -> "Engine":
        try:
            self._lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise NoEngine("another test run is using the Docker engine of the tests") from None
        try:
            self.host = self._running() or self._start()
            self.client = docker.DockerClient(base_url=self.host, version="auto", timeout=60)
            self._remove_containers()
            self._require_images()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.client:
            self._remove_containers()
            self.client.close()
        self._stop()
        self._lock.release()

    def _remove_containers(self) -> None:
        """Ours, those of a run that was killed included."""
        for container in self.client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
            with suppress(DockerException):
                container.remove(force=True)

    # ---- the engine ------------------------------------------------------------------------

    def _running(self) -> str:
        default = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        return next((host for host in (default, SOCKET) if _answers(host)), "")

    def _start(self) -> str:
        if not shutil.which("dockerd"):
            raise NoEngine("no Docker engine is running, and dockerd is not installed (Debian: docker.io)")
        if os.getuid():
            raise NoEngine("no Docker engine is running, and only root can start dockerd")
        RUN.mkdir(mode=0o700, exist_ok=True)
        log = RUN / "dockerd.log"
        # The machine's packet filter is left alone: containers are reached from this machine by the bridge.
        flags = [
            "--iptables=false",
            "--ip6tables=false",
            f"--data-root={CACHE / 'engine'}",
            f"--exec-root={RUN / 'exec'}",
        ]
        argv = ["dockerd", *flags, f"--pidfile={RUN / 'pid'}", f"--host={SOCKET}", *_tls_door()]
        with log.open("wb") as out:
            self._process = subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True)
        process = self._process
        comes_true(lambda: _answers(SOCKET) or process.poll() is not None, START_SECONDS, 0.1)
        if not _answers(SOCKET):
            told = log.read_text(errors="replace").splitlines()[-1:]
            raise NoEngine(f"dockerd does not start here: {''.join(told)[:300]}")
        return SOCKET

    def _stop(self) -> None:
        """Only what we started: our process, or by its pid file the one that an earlier run of ours left behind."""
        with suppress(OSError, ValueError):
            pid = self._process.pid if self._process else int((RUN / "pid").read_text())
            os.kill(pid, signal.SIGTERM)
            comes_true(lambda: _ended(pid, self._process), 20, 0.1)

    def tls_door(self) -> str:
        """tcp:// address at which it asks for a certificate of `TLS`. Raises: NoEngine when it is not one of ours."""
        if self.host != SOCKET or not (TLS / "address").exists():
            raise NoEngine("the engine is not one that the tests started, so it has no door of theirs with TLS")
        return (TLS / "address").read_text()

    # ---- images ----------------------------------------------------------------------------

    def _require_images(self) -> None:
        self.require_debian(BASE, SUITE, PACKAGES)
        self.client.images.build(path=str(Path(__file__).parent / "dms_image"), tag=IMAGE, rm=True)

    def require_debian(self, name: str, suite: str, packages: str) -> None:
        """An image of Debian with these packages, about a minute once. It trusts whom this machine trusts."""
        with suppress(ImageNotFound):
            self.client.images.get(f"{name}:latest")
            return
        if not shutil.which("debootstrap"):
            raise NoEngine("debootstrap is not installed, so the image of the tests cannot be made")
        with tempfile.TemporaryDirectory(dir=CACHE) as root:
            argv = ["debootstrap", "--variant=minbase", f"--include={packages}", suite, root, *mirror()]
            made = subprocess.run(argv, capture_output=True, check=False)
            if made.returncode:
                raise NoEngine(f"debootstrap failed: {made.stdout.decode(errors='replace')[-300:]}")
            if AUTHORITIES.exists():
                (Path(root) / AUTHORITIES.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
                shutil.copy(AUTHORITIES, Path(root) / AUTHORITIES.relative_to("/"))
            left_out = [f"--exclude={path}" for path in LEFT_OUT]
            archive = Path(root) / "base.tar"
            subprocess.run(["tar", "-C", root, *left_out, "--exclude=./base.tar", "-cf", archive, "."], check=True)
            self.client.api.import_image_from_file(str(archive), repository=name, tag="latest")


_shared: list[Engine] = []  # once for each user of it


@contextmanager
def shared_engine() -> Iterator[Engine]:
    """One engine for all in this process that want it at the same time. Raises: NoEngine."""
    _shared.append(_shared[0] if _shared else Engine().__enter__())
    try:
        yield _shared[0]
    finally:
        last = _shared.pop()
        if not _shared:
            last.__exit__()


def _answers(host: str) -> bool:
    try:
        client = docker.APIClient(base_url=host, version="auto", timeout=5)
        with suppress(Exception):
            client.close()
    except DockerException:
        return False
    return True


def _tls_door() -> list[str]:
    authority = Authority.new()
    authority.write(TLS)
    authority.write(TLS / "expired", days=-1)
    address = f"tcp://127.0.0.1:{free_port()}"
    (TLS / "address").write_text(address)
    files = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
    return [f"--host={address}", "--tlsverify", *(f"--{flag}={TLS / name}" for flag, name in files.items())]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _ended(pid: int, process: "subprocess.Popen[bytes] | None") -> bool:
    return process.poll() is not None if process else not Path(f"/proc/{pid}").exists()


def mirror() -> list[str]:
    """The mirror of this machine's apt, or none: debootstrap knows one."""
    if not shutil.which("apt-get"):
        return []
    argv = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    sites = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    return [site for site in sites if "security" not in site][:1]
