"""Start a PostgreSQL of our own for a test or bench run. Its programs refuse to run as root, so root borrows a user."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from port_for import get_port

UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class PostgresServer:
    host: str
    port: int
    user: str
    folder: Path
    programs: Path
    prefix: tuple[str, ...]
    settings: Mapping[str, str]

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{self.user}@{self.host}:{self.port}/{name}"

    def halt(self) -> None:
        """As a restart does; `start` brings it back."""
        self._control("stop", "-m", "fast")

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        settings = {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "200",
            **self.settings,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._control("start", "-o", f"-p {self.port} {options}", "-l", str(self.folder / "log"), "-w")

    def _control(self, *arguments: str) -> None:
        command = [*self.prefix, str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def start_postgres(**settings: str) -> PostgresServer:
    """In a folder of its own, not below pytest's: that one is closed to other users whenever a test run begins.

    `settings`: of postgresql.conf. Skips the test with a sentence where PostgreSQL is not installed.
    """
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian: postgresql).")
    folder = Path(tempfile.mkdtemp(prefix="postroom-postgres-"))
    prefix = _as_somebody_else(folder)
    subprocess.run(
        [
            *prefix,
            str(found / "initdb"),
            "-D",
            str(folder / "data"),
            "-A",
            "trust",
            "-U",
            "postroom",
            "--no-sync",
            "-E",
            "UTF8",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    server = PostgresServer("127.0.0.1", get_port(None) or 0, "postroom", folder, found, prefix, settings)
    server.start()
    return server


def programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")) or [Path(p) for p in [shutil.which("pg_ctl")] if p]
    return found[-1].parent if found else None


def _as_somebody_else(folder: Path) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    known = {user.pw_name for user in pwd.getpwall()}
    name = next(user for user in UNPRIVILEGED if user in known)
    shutil.chown(folder, name)
    return ("runuser", "-u", name, "--")
