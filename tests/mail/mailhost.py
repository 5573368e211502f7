"""A real Dovecot of our own, 2.3 or 2.4 as it is installed, and Postfix's map reader, in one folder.

They listen on loopback, and nothing of /etc is read. Root lends itself an unprivileged user. Everything started is
stopped by its process id.
"""

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

import pytest
from port_for import get_port

from provision.core.secret import Secret
from tests.mail.feeder import Feeder
from tests.waiting import wait_for

KNOWN = ("2.3", "2.4")  # their configuration files have nothing in common
PROGRAMS = ("dovecot", "doveadm", "postmap", "openssl")
SERVICES = ("imap", "imaps", "pop3", "lmtp")
UNPRIVILEGED = "nobody"
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])


@dataclass
class MailHost:
    """One running mail server. `ports`: of each service."""

    folder: Path
    user: pwd.struct_passwd
    dovecot: str  # 2.3 or 2.4
    ports: dict[str, int] = field(default_factory=lambda: {name: get_port(None) or 0 for name in SERVICES})
    feeds: Iterator[int] = field(default_factory=count)
    process: subprocess.Popen[bytes] | None = None

    @cached_property
    def feeder(self) -> Feeder:
        return Feeder(self.folder, self.folder / "mail", self.user.pw_uid, self.user.pw_gid, self.dovecot == "2.4")

    # ---- starting and stopping -------------------------------------------------------------

    def prepare(self) -> None:
        for name in ("run", "state", "mail"):
            (self.folder / name).mkdir()
        self._make_certificate()
        (self.folder / "main.cf").write_text("compatibility_level = 3.6\n")
        template = (Path(__file__).parent / f"dovecot-{self.dovecot}.conf").read_text()
        group = _group_name(self.user.pw_gid)
        text = template.format(folder=self.folder, user=self.user.pw_name, group=group, **self.ports)
        (self.folder / "dovecot.conf").write_text(text)
        self.feeder.feed(self.folder)
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _make_certificate(self) -> None:
        files = ["-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "certificate.pem")]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subprocess.run([_program("openssl"), "req", "-x509", *key, *names, *files], check=True, capture_output=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        process = subprocess.Popen([_program("dovecot"), "-F", "-c", self.folder / "dovecot.conf"], **self._as_user())
        self.process = process
        try:
            wait_for(lambda: self._ask_user("anybody")[1] != "" or process.poll() is not None)
            assert process.poll() is None, self.log()
            yield
        finally:
            process.terminate()
            process.wait(10)

    def log(self) -> str:
        path = self.folder / "dovecot.log"
        return path.read_text() if path.exists() else ""

    def _as_user(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    # ---- what docker-mailserver and its admin would do -------------------------------------

    def feed(self, volume: Path) -> None:
        """Make Dovecot know what is in the config volume; back when it does."""
        marker = f"feed-{next(self.feeds)}@marker.test"
        self.feeder.feed(volume, f"{marker}:{{PLAIN}}:{self.user.pw_uid}:{self.user.pw_gid}::{self.folder}::fail=y")
        for name in ("vmailbox", "virtual"):  # Postfix waits until a map is two seconds old before it reads it
            os.utime(self.folder / name, (0, 0))
        self.reload()
        assert self._ask_user(marker)[0] == "USER"

    def reload(self) -> None:
        """Back when Dovecot's new processes answer instead of the old ones, which would hang up."""
        assert self.process
        before = self._ask_user("anybody")[1]
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self._ask_user("anybody")[1] not in ("", before))

    def _ask_user(self, login: str) -> tuple[str, str]:
        """What Dovecot says of a user in its auth protocol, and the id of the process that says it."""
        process_id = ""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.folder / "run" / "auth-userdb"))
            with connection.makefile("rw") as lines:
                lines.write(f"VERSION\t1\t1\nUSER\t1\t{login}\tservice=test\n")
                lines.flush()
                for line in lines:
                    answer, *rest = line.strip().split("\t")
                    process_id = rest[0] if answer == "SPID" else process_id
                    if answer in ("USER", "NOTFOUND", "FAIL"):
                        return answer, process_id
        return "", ""

    @contextmanager
    def without_users(self) -> Iterator[None]:
        """Dovecot cannot read its users for a while: it answers "temporary failure"."""
        users = self.folder / "userdb"
        mode = users.stat().st_mode
        users.chmod(0)  # where there is no file at all, it answers "unknown user" to the first who asks in a second
        self.reload()
        try:
            wait_for(lambda: self.doveadm("user", "anybody@marker.test").returncode == 75)
            yield
        finally:
            users.chmod(mode)

    def doveadm(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [_program("doveadm"), "-c", str(self.folder / "dovecot.conf"), *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=20, check=False, **self._as_user()
        )

    def authenticates(self, login: str, password: Secret, service: str) -> bool:
        """Whether `doveadm auth test` lets the login in; `smtp` is what Postfix asks as."""
        done = self.doveadm("auth", "test", "-x", f"service={service}", login, stdin=f"{password.reveal()}\n")
        assert done.returncode in (0, 77), done.stderr
        return done.returncode == 0

    def hash(self, scheme: str, password: Secret) -> str:
        """A hash made by Dovecot itself."""
        done = self.doveadm("pw", "-s", scheme, stdin=f"{password.reveal()}\n" * 2)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def quota_bytes(self, login: str) -> int | None:
        """The storage limit that Dovecot applies, None for no limit. It counts in KiB."""
        done = self.doveadm("-f", "json", "quota", "get", "-u", login)
        assert done.returncode == 0, done.stderr
        (limit,) = [row["limit"] for row in json.loads(done.stdout) if row["type"] == "STORAGE"]
        return None if limit == "-" else int(limit) * 1024

    def resolve(self, address: str) -> list[str]:
        """Where Postfix sends mail for an address: its virtual map, first the address, then its domain."""
        for key in (address, address[address.index("@") :]):
            found = self.postmap(key, "virtual")
            if found:
                return [target.strip() for target in found.split(",")]
        return [address]

    def postmap(self, key: str, name: str) -> str:
        """One entry of a map, read by Postfix; empty when there is none."""
        command = [_program("postmap"), "-c", str(self.folder), "-q", key, f"texthash:{self.folder / name}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, **self._as_user())
        assert done.returncode in (0, 1), done.stderr
        assert "warning" not in done.stderr, done.stderr
        return done.stdout.strip()

    def virtual(self) -> str:
        """The whole alias map as Postfix reads it: one line an entry."""
        command = [_program("postmap"), "-c", str(self.folder), "-s", f"texthash:{self.folder / 'virtual'}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, **self._as_user())
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr, done.stderr
        return done.stdout

    def mails(self, login: str) -> list[str]:
        """The new messages in the maildir of a login."""
        user, _, domain = login.partition("@")
        return [path.read_text() for path in sorted((self.folder / "mail" / domain / user / "new").glob("*"))]


@contextmanager
def mail_host() -> Iterator[MailHost]:
    """Skips the tests with a sentence where the programs are not installed."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (Debian: dovecot-imapd dovecot-pop3d dovecot-lmtpd postfix).")
    version = subprocess.run([_program("dovecot"), "--version"], capture_output=True, text=True, check=True).stdout
    known = next((each for each in KNOWN if version.startswith(f"{each}.")), "")
    if not known:
        pytest.skip(f"These tests are written for Dovecot {' and '.join(KNOWN)}, and this is {version.strip()}.")
    user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
    with tempfile.TemporaryDirectory(prefix="postroom-mail-") as name:
        Path(name).chmod(0o755)
        host = MailHost(Path(name), user, known)
        host.prepare()
        with host.running():
            yield host


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    assert found
    return found


def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name
