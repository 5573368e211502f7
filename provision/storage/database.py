"""The database: engine, transactions, migrations, and the lock that makes one writer per mail server."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy_dlock.factory import create_sadlock

from provision.core.errors import InvalidInput
from provision.core.texts import N_
from provision.storage.trouble import (
    DatabaseUnavailable,
    FileWatch,
    keep_to_owner,
    require_data_folder,
    require_not_emptied,
    told,
    writable,
)

MIGRATION_SECONDS = 300  # longest that another process is waited for
LOCK_POLL_SECONDS = 0.1
BUSY_SECONDS = 10  # for a connection, and for SQLite's write lock: nobody waits longer for a page
ROOT = Path(__file__).resolve().parent.parent.parent


class Database:
    """One database. `read()` and `write()` are the only ways to a session; each is one transaction."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.chain_keys: tuple[bytes, ...] = ()  # for who writes the log (provision.audit.chain)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = self.url.database if self.is_sqlite else None
        self.engine = _sqlite_engine(url) if self.is_sqlite else _server_engine(url)
        self._files = FileWatch(self.path, self.engine) if self.path else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._session(immediate=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Committed at the end. SQLite takes its write lock at once, so that a read in it stays true."""
        with self._session(immediate=True) as session:
            yield session
            session.commit()

    @contextmanager
    def _session(self, immediate: bool) -> Iterator[Session]:
        if self._files:
            self._files.require_same()
        with self._translated(), self._connect() as connection:
            connection = connection.execution_options(immediate=immediate)
            info = {"chain_keys": self.chain_keys}
            with Session(connection, expire_on_commit=False, info=info) as session:
                yield session
                if self._files:
                    self._files.note()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the driver says, as a sentence. Raises: DatabaseUnavailable, InvalidInput."""
        try:
            yield
        except DataError:  # PostgreSQL takes no NUL, and no more than a column holds
            raise InvalidInput("The database cannot hold or look for such a text or number.") from None
        except DBAPIError as error:
            if sentence := told(error, self.path):
                raise sentence from error
            raise

    def _connect(self) -> Connection:
        """Raises: DatabaseUnavailable when all connections stay in use."""
        try:
            return self.engine.connect()
        except PoolTimeout:
            raise DatabaseUnavailable(
                N_("The database cannot be used now: all connections to it are in use.")
            ) from None

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One moment of the whole database, however long the reading takes."""
        with self._translated(), self._connect() as connection:
            isolation = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            yield connection.execution_options(**isolation)

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables to this release's form, or to an earlier one's that a backup has. Replicas start at once."""
        if self.path:
            require_data_folder(Path(self.path).parent)
        with self._lock("migration", MIGRATION_SECONDS) as locked, self._translated():
            if not locked:
                raise DatabaseUnavailable(N_("Another process is changing the tables."), N_("Start when it is done."))
            if self.path:
                require_not_emptied(self.path)
            with self._connect() as connection:
                config = _alembic()
                config.attributes["connection"] = connection.execution_options(immediate=True)
                command.upgrade(config, revision)
        if self.path:
            keep_to_owner(self.path)

    def revision(self) -> str | None:
        """What form the tables have; None: there are none. Raises: DatabaseUnavailable."""
        if self.path and not Path(self.path).exists():
            return None
        if self.path:
            require_not_emptied(self.path)
        with self.read() as session:
            return MigrationContext.configure(session.connection()).get_current_revision()

    @staticmethod
    def newest_revision() -> str:
        """The form that this release needs."""
        return str(ScriptDirectory.from_config(_alembic()).get_current_head())

    def server_lock(self, server_id: int, timeout_seconds: float) -> AbstractContextManager[bool]:
        """Yield whether this process may write to the mail server; freed by `kill -9` too."""
        return self._lock(f"server-{server_id}", timeout_seconds)

    def upkeep_lock(self) -> AbstractContextManager[bool]:
        """Yield whether this process may tidy up now."""
        return self._lock("upkeep", 0)

    @contextmanager
    def _lock(self, name: str, timeout_seconds: float) -> Iterator[bool]:
        if self.is_sqlite:
            with self._file_lock(name, timeout_seconds) as locked:
                yield locked
        else:
            with self._connect() as connection:
                free = connection.execution_options(
                    isolation_level="AUTOCOMMIT"
                )  # or it would be idle in a transaction
                lock: Any = create_sadlock(free, f"postroom-{name}")
                locked = lock.acquire(timeout=timeout_seconds, interval=LOCK_POLL_SECONDS)
                try:
                    yield locked
                finally:
                    if locked:
                        lock.release()

    @contextmanager
    def _file_lock(self, name: str, timeout_seconds: float) -> Iterator[bool]:
        lock = FileLock(f"{self.url.database}.{name}.lock", is_singleton=False)
        try:
            lock.acquire(timeout=timeout_seconds, poll_interval=LOCK_POLL_SECONDS)
        except Timeout:
            yield False
            return
        except OSError as error:
            facts = N_(f"The lock {lock.lock_file} cannot be taken: {error.strerror}.")
            raise DatabaseUnavailable(facts, writable(lock.lock_file)) from None
        try:
            yield True
        finally:
            lock.release()

    def close(self) -> None:
        self.engine.dispose()


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_timeout=BUSY_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "cache_size=-8000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _server_engine(url: str) -> Engine:
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        pool_timeout=BUSY_SECONDS,
        connect_args={"connect_timeout": 5, "application_name": "postroom"},
    )
