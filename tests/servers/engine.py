"""A Docker engine for the tests: the one that is running, or a `dockerd` of our own, started and stopped here.

Everything of ours lives in a cache folder (images, so that the second run is quick) and in a folder for the
moment (socket, pid). The base image is made by debootstrap from the mirror that this machine's apt uses.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from filelock import FileLock, Timeout

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "postroom-tests"
RUN = Path(tempfile.gettempdir()) / f"postroom-engine-{os.getuid()}"
SOCKET = f"unix://{RUN}/docker.sock"
LABEL = "postroom-test"
IMAGE = "postroom-test-dms"
BASE = "postroom-test-base"
SUITE = "bookworm"
PACKAGES = "dovecot-core,dovecot-imapd,dovecot-pop3d,dovecot-lmtpd,postfix,supervisor,procps"
LEFT_OUT = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/locale", "./usr/share/man")
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
        argv = ["dockerd", *flags, f"--pidfile={RUN / 'pid'}", f"--host={SOCKET}"]
        with log.open("wb") as out:
            self._process = subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(SOCKET):
            if self._process.poll() is not None or time.monotonic() > deadline:
                told = log.read_text(errors="replace").splitlines()[-1:]
                raise NoEngine(f"dockerd does not start here: {''.join(told)[:300]}")
            time.sleep(0.1)
        return SOCKET

    def _stop(self) -> None:
        """Only what we started: our process, or by its pid file the one that an earlier run of ours left behind."""
        with suppress(OSError, ValueError):
            pid = self._process.pid if self._process else int((RUN / "pid").read_text())
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and not _ended(pid, self._process):
                time.sleep(0.1)

    # ---- images ----------------------------------------------------------------------------

    def _require_images(self) -> None:
        try:
            self.client.images.get(f"{BASE}:latest")
        except ImageNotFound:
            self._make_base()
        self.client.images.build(path=str(Path(__file__).parent / "dms_image"), tag=IMAGE, rm=True)

    def _make_base(self) -> None:
        """Debian with Dovecot and Postfix, about a minute once."""
        if not shutil.which("debootstrap"):
            raise NoEngine("debootstrap is not installed, so the image of the tests cannot be made")
        with tempfile.TemporaryDirectory(dir=CACHE) as root:
            argv = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root, *_mirror()]
            made = subprocess.run(argv, capture_output=True, check=False)
            if made.returncode:
                raise NoEngine(f"debootstrap failed: {made.stdout.decode(errors='replace')[-300:]}")
            left_out = [f"--exclude={path}" for path in LEFT_OUT]
            archive = Path(root) / "base.tar"
            subprocess.run(["tar", "-C", root, *left_out, "--exclude=./base.tar", "-cf", archive, "."], check=True)
            self.client.api.import_image_from_file(str(archive), repository=BASE, tag="latest")


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


def _ended(pid: int, process: "subprocess.Popen[bytes] | None") -> bool:
    return process.poll() is not None if process else not Path(f"/proc/{pid}").exists()


def _mirror() -> list[str]:
    """The mirror of this machine's apt, or none: debootstrap knows one."""
    if not shutil.which("apt-get"):
        return []
    argv = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    sites = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    return [site for site in sites if "security" not in site][:1]
