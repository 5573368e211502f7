"""Backup and restore: everything comes back, in either kind of database, and nothing is sent by itself afterwards."""

import gzip
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from provision.app import Postroom, open_postroom
from provision.core.access import Actor, Role
from provision.core.errors import Conflict, InvalidInput
from provision.core.secret import Secret
from provision.core.state import Resource
from provision.ops import keys
from provision.ops.backup import restore_backup, write_backup
from provision.queries import LogFilter, MailboxFilter
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.models import SyncStatus
from tests.conftest import World

pytestmark = pytest.mark.both_databases

SYSTEM = Actor.system("test")


@pytest.fixture
def lived(world: World) -> World:
    """Mailboxes that arrived, one that waits with its password, a rule, and an operator who is signed in."""
    for name in ("anna", "ben"):
        world.add(f"{name}@example.com", display_name=f"{name} 日本")
    world.app.services.aliases.create(world.alice, "info@example.com", ["anna@example.com", "x@elsewhere.example"])
    password = world.app.services.operators.create(SYSTEM, "olga", Role.SUPER_ADMIN)[1]
    world.app.services.policy.edit(SYSTEM, {"max_attempts": 8})
    operator = world.app.sign_in.check("olga", password or Secret(""), "192.0.2.9")
    world.app.sign_in.open_session(operator, "192.0.2.9")
    world.volume.rename(world.volume.with_name("away"))
    world.add("late@example.com", password=Secret("Battery-Staple-2"), password_hash=None)
    world.volume.with_name("away").rename(world.volume)
    return world


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """Another machine, with nothing on it."""
    return Settings(data_dir=tmp_path / "elsewhere")


@pytest.fixture
def restored(lived: World, elsewhere: Settings, tmp_path: Path) -> Iterator[Postroom]:
    """The backup of either kind of database, restored into SQLite."""
    write_backup(lived.app.settings, tmp_path / "backup")
    restore_backup(elsewhere, tmp_path / "backup", SYSTEM)
    with closing(open_postroom(elsewhere)) as app:
        yield app


def mailboxes(app: Postroom) -> list[dict[str, object]]:
    rows = app.queries.mailboxes(SYSTEM, MailboxFilter()).rows
    told = ("address", "display_name", "quota_bytes", "status", "used_bytes", "created_at", "uid")
    return [{name: row[name] for name in told} for row in rows]


def test_everything_is_there_again(lived: World, restored: Postroom) -> None:
    assert mailboxes(restored) == mailboxes(lived.app)
    alias = restored.queries.alias_by_address(SYSTEM, "info@example.com")
    assert alias.destinations == ["anna@example.com", "x@elsewhere.example"]
    rule = "max_attempts"
    assert restored.services.policy.show(SYSTEM)[rule] == lived.app.services.policy.show(SYSTEM)[rule]
    assert restored.services.policy.now().max_attempts == 8
    assert restored.queries.verify_audit(SYSTEM).intact


def test_the_chain_goes_on_where_it_was(lived: World, restored: Postroom) -> None:
    head = lived.app.queries.audit_head(SYSTEM)
    report = restored.queries.verify_audit(SYSTEM, head)
    assert report.intact
    assert report.links > head["links"]
    newest = restored.queries.logs(SYSTEM, LogFilter()).rows[0]
    assert newest["operation"] == "database.restore"


def test_nothing_is_sent_until_a_person_says_so(lived: World, restored: Postroom) -> None:
    before = lived.text()
    waiting = restored.queries.mailbox_by_address(SYSTEM, "late@example.com")
    assert waiting.sync_status == SyncStatus.FAILED
    assert "backup" in (waiting.error or "")
    server = restored.queries.server_by_name(SYSTEM, "main")
    restored.services.sync.push(SYSTEM, server.uid)
    assert lived.text() == before


def test_a_waiting_password_arrives_after_the_retry(lived: World, restored: Postroom) -> None:
    waiting = restored.queries.mailbox_by_address(SYSTEM, "late@example.com")
    restored.services.sync.retry(SYSTEM, Resource.MAILBOX, waiting.uid)
    assert "late@example.com|{SHA512-CRYPT}$6$" in lived.text()


def test_a_password_that_had_arrived_is_not_sent_again(lived: World, restored: Postroom) -> None:
    anna = restored.queries.mailbox_by_address(SYSTEM, "anna@example.com")
    assert (anna.sync_status, anna.sealed_password) == (SyncStatus.SYNCED, None)
    lived.app.services.mailboxes.reset_password(SYSTEM, anna.uid, Secret("Battery-Staple-3"))
    since = lived.text()
    restored.services.mailboxes.edit(SYSTEM, anna.uid, quota_bytes=7 << 20)
    assert lived.text() == since


def test_what_is_made_next_gets_a_new_number(restored: Postroom) -> None:
    made = restored.services.domains.create(SYSTEM, "example.net", "main")
    assert made.id not in {restored.queries.domain_by_name(SYSTEM, name).id for name in ("example.com", "example.org")}


def test_ended_sign_ins_do_not_come_back(lived: World, restored: Postroom, tmp_path: Path) -> None:
    text = gzip.decompress((tmp_path / "backup").read_bytes()).decode()
    assert "admin_session" not in text
    assert "Battery-Staple-2" not in text


def test_only_its_owner_can_read_it(world: World, tmp_path: Path) -> None:
    write_backup(world.app.settings, tmp_path / "backup")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".backup*"))


def test_from_sqlite_to_postgresql(restored: Postroom, postgres_url: str, tmp_path: Path) -> None:
    there = Settings(data_dir=tmp_path / "third", database_url=postgres_url)
    write_backup(restored.settings, tmp_path / "second")
    restore_backup(there, tmp_path / "second", SYSTEM)
    with closing(open_postroom(there)) as app:
        assert mailboxes(app) == mailboxes(restored)
        app.services.domains.create(SYSTEM, "example.net", "main")  # its number comes from a sequence
        assert app.queries.verify_audit(SYSTEM).intact


def test_a_database_in_use_is_not_touched(lived: World, tmp_path: Path) -> None:
    write_backup(lived.app.settings, tmp_path / "backup")
    before = mailboxes(lived.app)
    with pytest.raises(Conflict, match="in use"):
        restore_backup(lived.app.settings, tmp_path / "backup", SYSTEM)
    assert mailboxes(lived.app) == before


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_damaged_file_restores_nothing(lived: World, elsewhere: Settings, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "backup"
    write_backup(lived.app.settings, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    with pytest.raises(InvalidInput, match=r"not whole|no backup"):
        restore_backup(elsewhere, path, SYSTEM)
    with closing(open_postroom(elsewhere)) as app:
        assert mailboxes(app) == []


def test_rows_that_do_not_fit_restore_nothing(lived: World, elsewhere: Settings, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    write_backup(lived.app.settings, path)
    text = gzip.decompress(path.read_bytes()).replace(b'"table":"alias"', b'"table":"aliases"')
    path.write_bytes(gzip.compress(text))
    with pytest.raises(InvalidInput, match="not whole"):
        restore_backup(elsewhere, path, SYSTEM)


def test_a_backup_of_an_earlier_release(world: World, elsewhere: Settings, tmp_path: Path) -> None:
    old = Settings(data_dir=tmp_path / "old")
    with closing(Database(old.url)) as database:
        database.migrate("0004")
    keys.Sealer.from_file(old.key_file)
    assert write_backup(old, tmp_path / "backup").revision == "0004"
    restore_backup(elsewhere, tmp_path / "backup", SYSTEM)
    with closing(Database(elsewhere.url)) as database:
        assert database.revision() == Database.newest_revision()
