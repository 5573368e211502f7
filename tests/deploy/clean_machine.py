"""The README's two commands on a Debian that has nothing but Python: `python -m tests.deploy.clean_machine`.

For each suite a Debian is made by debootstrap in a folder, with python3, python3-venv, git and ca-certificates. It gets
this machine's way to the registries (apt's mirror and settings, pip's index, trusted authorities, proxies) and a fresh
clone of what is committed here. Then `scripts/run` is started, signed in to and stopped, and `scripts/test` is run to
its end. Other commands instead: `-- scripts/test tests/mail`, more of them with `--then` in between.

Needs root. Mounts and processes are in namespaces of their own, so nothing is left of them, however this ends. The
network is this machine's; its tests' Docker engine is kept from others meanwhile.
"""

import argparse
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from playwright.sync_api import expect, sync_playwright

from tests.e2e.site import ROOT, fill_sign_in, launch
from tests.servers.engine import AUTHORITIES, CACHE, mirror
from tests.waiting import comes_true

SUITES = ("bookworm", "trixie")
PACKAGES = "python3,python3-venv,git,ca-certificates"
HOME = "/root/postroom"  # the clone
PORT = 8501
START_SECONDS = 900
RUN, TEST = ["scripts/run"], ["scripts/test"]
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
PIP_OPTIONS = ("index-url", "proxy", "trusted-host", "timeout", "default-timeout")  # not what is local to this machine
APART = ["unshare", "--mount", "--propagation", "private"]
# Process 1 of the new namespaces: takes the folder for its root, and hands TERM on as Ctrl-C. $1: the folder.
ENTER = """
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
cd "$1" && shift
mkdir -p .former && pivot_root . .former
exec chroot . bash -c 'set -m; umount -l /.former; cd "$1" || exit; shift
    "$@" & set +m; trap "kill -INT $!" TERM
    while code=0; wait $! || code=$?; kill -0 $! 2>/dev/null; do :; done; exit $code' machine "$@"
"""


@dataclass(frozen=True)
class Row:
    suite: str
    command: str
    seconds: float
    result: str

    def __str__(self) -> str:
        return f"{self.suite:9} {self.seconds:6.0f}  {self.command:44} {self.result}"


@dataclass(frozen=True)
class Machine:
    suite: str
    root: Path

    # ---- making it -------------------------------------------------------------------------

    def make(self) -> None:
        say(f"{self.suite}: making the machine in {self.root} …")
        self.root.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", self.suite, str(self.root), *mirror()]
        checked([*APART, *command])  # it mounts, too
        self._set_up_apt()
        self._set_up_authorities()
        self._set_up_pip()
        shutil.copy("/etc/hosts", self.root / "etc/hosts")

    def _set_up_apt(self) -> None:
        sources = self.root / "etc/apt/sources.list"
        site = sources.read_text().split()[1]
        lines = [f"deb {site} {self.suite} main", f"deb {site} {self.suite}-updates main"]
        files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
        told = "\n".join(path.read_text() for path in files if path.is_file())
        security = re.findall(r"^(?!#).*?(https?://\S*security\S*)", told, re.MULTILINE)
        lines += [f"deb {site} {self.suite}-security main" for site in dict.fromkeys(security)]
        sources.write_text("\n".join(lines) + "\n")
        ways = [line for line in checked(["apt-config", "dump"]).splitlines() if line.startswith("Acquire::")]
        (self.root / "etc/apt/apt.conf.d/99this-machine").write_text("\n".join(ways) + "\n")

    def _set_up_authorities(self) -> None:
        """Those that this machine trusts and a Debian does not, so that they stay when more are installed."""
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        pattern = re.compile(f"{begin}.*?{end}", re.DOTALL)
        known = (self.root / AUTHORITIES.relative_to("/")).read_text()
        ours = [one for one in pattern.findall(AUTHORITIES.read_text()) if one not in known]
        for number, one in enumerate(ours):
            (self.root / f"usr/local/share/ca-certificates/this-machine-{number}.crt").write_text(one + "\n")
        checked(["chroot", str(self.root), "update-ca-certificates"])

    def _set_up_pip(self) -> None:
        lines = ["[global]", f"cert = {AUTHORITIES}"]
        for line in checked([sys.executable, "-m", "pip", "config", "list"]).splitlines():
            name, _, value = line.partition("=")
            option = name.rpartition(".")[2]
            if option in PIP_OPTIONS:
                lines.append(f"{option.removeprefix('default-')} = {shlex.split(value)[0]}")
        (self.root / "etc/pip.conf").write_text("\n".join(dict.fromkeys(lines)) + "\n")

    def clone(self) -> None:
        """What is committed here now. Of a clone that is there already only .venv is kept."""
        place = str(self.root / HOME.lstrip("/"))
        if not Path(place).exists():
            checked(["git", "clone", "-q", "--no-hardlinks", str(ROOT), place])
        checked(["git", "-C", place, "fetch", "-q", str(ROOT), "HEAD"])
        checked(["git", "-C", place, "reset", "-q", "--hard", "FETCH_HEAD"])
        checked(["git", "-C", place, "clean", "-ffdxq", "-e", ".venv"])

    # ---- using it --------------------------------------------------------------------------

    @contextmanager
    def running(self, command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """A command in the clone, its output in the log; all that it has started ends with it."""
        unshare = ["setpriv", "--pdeathsig", "KILL", *APART, "--pid", "--ipc", "--fork", "--kill-child"]
        kept = {name: os.environ[name] for name in PROXIES if name in os.environ}
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **kept}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*unshare, "bash", "-c", ENTER, "machine", str(self.root), HOME, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                interrupt(process)
                if not comes_true(lambda: process.poll() is not None, 30, 0.1):
                    process.kill()
            process.wait()

    def run(self, command: Sequence[str], log: Path) -> Row:
        begin = time.monotonic()
        with self.running(command, log) as process:
            process.wait()
        result = "ok" if process.returncode == 0 else f"FAILED ({process.returncode})"
        return Row(self.suite, shlex.join(command), time.monotonic() - begin, f"{result}: {last_line(log)}")

    def visit(self, log: Path) -> Row:
        """`scripts/run`, until the first admin has signed in; then Ctrl-C."""
        begin = time.monotonic()
        with self.running(RUN, log) as process:
            url = f"http://127.0.0.1:{PORT}"
            comes_true(lambda: answers(url) or process.poll() is not None, START_SECONDS, 0.2)
            seconds = time.monotonic() - begin
            if process.poll() is not None or not answers(url):
                return Row(self.suite, shlex.join(RUN), seconds, f"FAILED: {last_line(log)}")
            try:
                sign_in(url, re.findall(r"one-time password (\S+)", log.read_text())[0])
            except Exception as error:  # no password in the output, or what Playwright says
                return Row(self.suite, shlex.join(RUN), seconds, f"FAILED: {str(error).splitlines()[0]}")
            interrupt(process)
            stopped = comes_true(lambda: process.poll() is not None, 30, 0.1)
        result = "ok: signed in, stopped" if stopped and not answers(url) else "FAILED: does not stop"
        return Row(self.suite, shlex.join(RUN), seconds, result)


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C for what runs inside. `unshare` only waits; its child is process 1 there."""
    with suppress(OSError):
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except OSError:
        return False


def sign_in(url: str, password: str) -> None:
    """By this machine's Chromium."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.goto(url)
        fill_sign_in(page, "admin", password)
        expect(page.get_by_role("heading", name="Choose your password")).to_be_visible(timeout=60_000)
        browser.close()


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:150] if lines else ""


def checked(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def remove(folder: Path) -> None:
    """Nothing is mounted in it as seen from here; if something were, that would stay."""
    checked(["rm", "-rf", "--one-file-system", str(folder)])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def commands_of(words: Sequence[str]) -> list[list[str]]:
    groups = itertools.groupby(words, lambda word: word == "--then")
    return [list(group) for between, group in groups if not between]


def rows_of(machine: Machine, commands: Sequence[Sequence[str]], logs: Path) -> Iterator[Row]:
    for number, command in enumerate(commands, 1):
        log = logs / f"{machine.suite}-{number}.log"
        say(f"{machine.suite}: {shlex.join(command)} … ({log})")
        if list(command) == RUN:
            yield machine.visit(log)
            continue
        CACHE.mkdir(parents=True, exist_ok=True)
        # Two engines would share one bridge. Who has it now is waited for.
        with FileLock(CACHE / "lock") if command[0] == TEST[0] else nullcontext():
            yield machine.run(command, log)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", choices=SUITES, help="only this one; may be said again")
    parser.add_argument("--folder", type=Path, help="keep the machines here, and use those that are here already")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="instead of the README's two")
    told = parser.parse_args()
    if os.geteuid() or not shutil.which("debootstrap"):
        parser.error("root and debootstrap are needed")
    if answers(f"http://127.0.0.1:{PORT}"):
        parser.error(f"somebody answers on port {PORT} already")
    commands = commands_of(told.command[told.command[:1] == ["--"] :]) or [RUN, TEST]
    folder = told.folder or Path(tempfile.mkdtemp(prefix="postroom-machines-", dir="/var/tmp"))
    logs = Path(tempfile.mkdtemp(prefix="postroom-machines-logs-"))
    rows = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for suite in told.suite or SUITES:
            machine = Machine(suite, folder / suite)
            if not (machine.root / "etc/pip.conf").exists():
                machine.make()
            machine.clone()
            for row in rows_of(machine, commands, logs):
                say(str(row))
                rows.append(row)
            if not told.folder:
                remove(machine.root)
    finally:
        if not told.folder:
            remove(folder)
        print(*rows, sep="\n")
    return any(row.result.startswith("FAILED") for row in rows)


if __name__ == "__main__":
    sys.exit(main())
