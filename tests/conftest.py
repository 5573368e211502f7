"""What all tests share: both databases, a config volume, and one small world of operators and domains."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from pytest_postgresql.janitor import DatabaseJanitor

from provision.app import Postroom, open_postroom
from provision.core.access import Actor, Role
from provision.core.passwords import PasswordRules
from provision.core.secret import Secret
from provision.services.new_mailbox import NewMailbox
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.models import Domain, Mailbox, Server
from tests.browser import chromium, context, one_context, page
from tests.databases import Databases
from tests.nightly import NIGHTLY, left_for_the_night
from tests.postgres import PostgresServer, start_postgres

# The passwords of operators are hashed a hundred times in a run; only test_signin and test_guessing are about the cost.
os.environ["POSTROOM_OPERATOR_HASH_COST"] = "4"
STANDARD = PasswordRules(8, 32, 3)
__all__ = ["chromium", "context", "one_context", "page"]  # fixtures

# A real hash of "Correct-Horse-1", so that most tests need not compute one.
PASSWORD = Secret("Correct-Horse-1")
HASH = Secret(
    "{SHA512-CRYPT}$6$abcdefghabcdefgh$"
    "h62PO09XnQzkjGXMOCzFFlUuJfoWDEGqj.w9qsx0eg6fTkEflTofF3l1FUkrURh0H2QgQGP7N2dIdw2n8h4NW1"
)
OTHER_HASH = Secret(HASH.reveal().replace("abcdefghabcdefgh", "hgfedcbahgfedcba"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that is named by hand runs whatever it is."""
    if NIGHTLY or any("::" in argument for argument in config.args):
        return
    left = set(left_for_the_night(items))
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]


@pytest.fixture(autouse=True)
def usual_log() -> Iterator[None]:
    """A test may send the log to a file of its own; the next one must not write there."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test run, with an empty migrated database as template."""
    # Databases are emptied again and again: what autovacuum notes of an empty one would make the next test's plans bad.
    server = start_postgres(autovacuum="off", full_page_writes="off")
    try:
        with _janitor(server, "template_postroom", as_template=True):
            database = Database(server.url("template_postroom"))
            database.migrate()
            database.close()
            yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    return Databases(postgres, "template_postroom")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


def _janitor(server: PostgresServer, name: str, *, as_template: bool = False) -> DatabaseJanitor:
    return DatabaseJanitor(
        user=server.user,
        host=server.host,
        port=server.port,
        version=15,
        dbname=name,
        as_template=as_template,
        template_dbname=None if as_template else "template_postroom",
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty migrated database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "postroom.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("databases").one() as url:
        yield url


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """One more PostgreSQL database, empty and migrated."""
    with databases.one() as url:
        yield url


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty config volume of a docker-mailserver."""
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", database_url=database_url, retry_base_seconds=0.01, retry_cap_seconds=0.02
    )


@pytest.fixture
def postroom(settings: Settings) -> Iterator[Postroom]:
    app = open_postroom(settings, migrate=False)
    yield app
    app.close()


@dataclass(frozen=True)
class World:
    """One docker-mailserver with example.com and example.org. Alice may do all, Dora has example.com, Vera looks on."""

    app: Postroom
    volume: Path
    server: Server
    com: Domain
    org: Domain
    alice: Actor
    dora: Actor
    vera: Actor

    def add(self, address: str, **more: object) -> Mailbox:
        """A mailbox made by Alice, with a known hash."""
        more.setdefault("password_hash", HASH)
        return self.app.services.mailboxes.create(self.alice, NewMailbox(address, **more))  # type: ignore[arg-type]

    def text(self, name: str = "postfix-accounts.cf") -> str:
        path = self.volume / name
        return path.read_bytes().decode() if path.exists() else ""

    def write(self, text: str, name: str = "postfix-accounts.cf") -> None:
        """Somebody changes a file by hand."""
        (self.volume / name).write_bytes(text.encode())

    def reload(self, row: Mailbox) -> Mailbox:
        return self.app.queries.mailbox(self.alice, row.uid)


def make_world(app: Postroom, volume: Path) -> World:
    system = Actor.system("set-up")
    server = app.services.servers.create(system, "main", "dms_files", {"path": str(volume)}, quiet_seconds=0)
    com = app.services.domains.create(system, "example.com", "main")
    org = app.services.domains.create(system, "example.org", "main")
    alice = Actor("alice", Role.SUPER_ADMIN, operator_id=1, ip="192.0.2.1")
    dora = Actor("dora", Role.DOMAIN_ADMIN, operator_id=2, domains=frozenset({com.id}), ip="192.0.2.2")
    vera = Actor("vera", Role.VIEWER, operator_id=3, ip="192.0.2.3")
    return World(app, volume, server, com, org, alice, dora, vera)


@pytest.fixture
def world(postroom: Postroom, volume: Path) -> World:
    return make_world(postroom, volume)


@pytest.fixture
def write_volume(volume: Path) -> Callable[..., None]:
    """Write config files by hand, as a person on the server would."""

    def write(accounts: str = "", virtual: str = "", quotas: str = "") -> None:
        for name, text in (
            ("postfix-accounts.cf", accounts),
            ("postfix-virtual.cf", virtual),
            ("dovecot-quotas.cf", quotas),
        ):
            (volume / name).write_bytes(text.encode())

    return write
