"""What can happen to a database under a running process, in sentences with advice."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from provision.core.errors import ProvisionError
from provision.core.texts import N_

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
NOT_WRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
RESTORE = N_(
    "Stop Postroom, move the file away but keep it, and restore the newest backup: python -m provision restore FILE"
)


class DatabaseUnavailable(ProvisionError):
    """`facts` and `advice` are the message in two parts."""

    code = "DATABASE_UNAVAILABLE"
    status = 503

    def __init__(self, facts: str, advice: str = "") -> None:
        super().__init__(f"{facts} {advice}".strip())
        self.facts, self.advice = facts, advice


def told(error: DBAPIError, path: str | None) -> DatabaseUnavailable | None:
    """What the driver says; `path` of a SQLite file. None: it is not about the database as a whole."""
    reason = (
        str(error.orig).strip().splitlines()[0] if error.orig and str(error.orig).strip() else N_("no reason given")
    )
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if path and code in DAMAGED:
        return DatabaseUnavailable(N_(f"The database file {path} is damaged ({reason})."), RESTORE)
    if path and code in NOT_WRITABLE:
        return DatabaseUnavailable(N_(f"The database file {path} cannot be written ({reason})."), writable(path))
    if isinstance(error, OperationalError):
        return DatabaseUnavailable(N_(f"The database cannot be used now: {reason}."))
    return None


def writable(path: str | Path) -> str:
    """Advice."""
    folder = Path(path).absolute().parent
    return N_(f"Give {folder} and what is in it to user {os.geteuid()}, or mount it so that it can be written.")


def require_data_folder(folder: Path) -> None:
    """Make it, for its owner only. Raises: DatabaseUnavailable where it cannot be, or cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        reason = (
            "" if os.access(folder, os.W_OK | os.X_OK) else N_("no permission to write there, or mounted read-only")
        )
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        advice = N_(f"Give it to user {os.geteuid()}, or mount it so that it can be written.")
        raise DatabaseUnavailable(N_(f"The data folder {folder.absolute()} cannot be used: {reason}."), advice)


class FileWatch:
    """Whether the files of a SQLite database are still those that were opened. One that was removed or replaced would
    take every change, and lose it."""

    def __init__(self, path: str, engine: Engine) -> None:
        self.path, self.engine = path, engine
        self._main: int | None = None
        self._log: int | None = None  # write-ahead log; there as long as somebody has a connection
        self._connections = 0
        self._rescued = False
        event.listen(engine, "connect", lambda *_: self._count(1))
        event.listen(engine, "close", lambda *_: self._count(-1))

    def _count(self, number: int) -> None:
        self._connections += number
        if not self._connections:
            self._log = None

    def note(self) -> None:
        """After something was read or written: the log is there."""
        if self._log is None and self._connections:
            self._log = inode(f"{self.path}-wal")

    def require_same(self) -> None:
        """Raises: DatabaseUnavailable."""
        if self._main is None:
            self._main = inode(self.path)
        if inode(self.path) != self._main:
            raise DatabaseUnavailable(
                f"The database file {self.path} was removed or replaced. Put it back, or start Postroom again."
            )
        if self._log is not None and inode(f"{self.path}-wal") != self._log:
            raise DatabaseUnavailable(self._what_became_of_the_log())

    def _what_became_of_the_log(self) -> str:
        """Who has it open still can write what is in it into the database; that is done at once, for a kill could come.

        Not where there is another one already: somebody else goes on with that.
        """
        name = f"{self.path}-wal"
        if not self._rescued and inode(name) is None and self.engine.pool.checkedin():  # type: ignore[attr-defined]
            with suppress(sqlite3.Error), closing(self.engine.raw_connection()) as connection:
                _busy, held, saved = connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._rescued = held == saved
        if self._rescued:
            return N_(
                f"The file {name} was removed. What it held was saved into the database. Start Postroom again; "
                "until then nothing is accepted."
            )
        return N_(
            f"The file {name} was removed or replaced. Put it back, or start Postroom again; what was accepted in "
            "the last minutes may be lost."
        )


def keep_to_owner(path: str) -> None:
    """Of a database file, and what stands beside it, where everybody could read it."""
    for name in (path, f"{path}-wal", f"{path}-shm"):
        with suppress(OSError):  # another owner's
            mode = os.stat(name).st_mode
            if mode & 0o007:
                os.chmod(name, mode & 0o700)


def inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def require_not_emptied(path: str) -> None:
    """A file of no bytes would become a new database, and what was in it be forgotten. Raises: DatabaseUnavailable."""
    if os.path.exists(path) and not os.path.getsize(path):
        advice = N_("Restore the newest backup; to begin anew, remove the file.")
        raise DatabaseUnavailable(N_(f"The database file {path} is empty: it was cut off, or never filled."), advice)
