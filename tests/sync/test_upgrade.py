"""What former releases left (`tests/releases/`) goes on with the code of today: read, proved, changed, delivered."""

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from provision.app import Postroom, open_postroom
from provision.audit.archive import verify_archive
from provision.core.access import Actor
from provision.core.secret import Secret
from provision.jobs.scheduled_tasks import run_next_task
from provision.ops.backup import restore_backup
from provision.queries import LogFilter, MailboxFilter
from provision.services.new_mailbox import NewMailbox
from provision.settings.config import Settings
from provision.storage.models import Status
from tests.api.conftest import BASE, client
from tests.conftest import HASH
from tests.postgres import PostgresServer

RELEASES = sorted(path for path in (Path(__file__).resolve().parents[1] / "releases").iterdir() if path.is_dir())
SYSTEM = Actor.system("test")
WAITING = 20  # mailboxes of a server that was down, with their sealed passwords


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def left_behind(request: pytest.FixtureRequest, release: Path, tmp_path: Path) -> Settings:
    """Its database and key, as they lay when it was stopped."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(release / f"{request.param}.key", data / "secret.key")
    if request.param == "sqlite":
        (data / "postroom.db").write_bytes(gzip.decompress((release / "postroom.db.gz").read_bytes()))
        return Settings(data_dir=data)
    server: PostgresServer = request.getfixturevalue("postgres")
    return Settings(data_dir=data, database_url=loaded(server, release / "postroom.sql.gz"))


def loaded(server: PostgresServer, dump: Path) -> str:
    """A database of the server with what the dump holds; it goes with the server."""
    psql = [str(server.programs / "psql"), "-q", "-h", server.host, "-p", str(server.port), "-U", server.user]
    name = f"release_{uuid4().hex}"
    subprocess.run([*psql, "-d", "postgres", "-c", f"CREATE DATABASE {name}"], check=True)
    script = gzip.decompress(dump.read_bytes())
    subprocess.run([*psql, "-d", name, "-v", "ON_ERROR_STOP=1"], input=script, check=True, stdout=subprocess.DEVNULL)
    return server.url(name)


@pytest.fixture
def upgraded(left_behind: Settings, release: Path, tmp_path: Path) -> Iterator[Postroom]:
    """Opened by the code of today, its mail server's files where this test may write."""
    app = open_postroom(left_behind)
    shutil.copytree(release / "config", tmp_path / "config")
    main = app.queries.server_by_name(SYSTEM, "main")
    app.services.servers.edit(SYSTEM, main.uid, settings={"path": str(tmp_path / "config")})
    yield app
    app.close()


def counted(app: Postroom) -> dict[str, int]:
    counts = app.queries.counts(SYSTEM)
    names = (
        "mailbox.ACTIVE",
        "mailbox.DISABLED",
        "mailbox.DELETED",
        "mailbox.SYNCED",
        "mailbox.PENDING",
        "alias.SYNCED",
    )
    return {name.partition(".")[2] if name[0] == "m" else name: counts.get(name, 0) for name in names}


def test_nothing_is_lost_and_the_log_is_intact(upgraded: Postroom, release: Path) -> None:
    assert counted(upgraded) == {
        "ACTIVE": 252,
        "DISABLED": 10,
        "DELETED": 5,
        "SYNCED": 242,
        "PENDING": WAITING,
        "alias.SYNCED": 83,
    }
    assert upgraded.queries.verify_audit(SYSTEM).intact
    assert verify_archive(release / "archived.jsonl.gz").intact
    assert {row["username"] for row in upgraded.queries.operators(SYSTEM)} == {"alice", "dora", "vera"}
    found = upgraded.queries.logs(SYSTEM, LogFilter(operation="mailbox.create"), size=1).rows[0]
    assert found["status"] in ("PENDING", "SUCCESS")


def test_what_was_soft_deleted_stays_as_it_is_until_it_is_deleted_anew(upgraded: Postroom, tmp_path: Path) -> None:
    """Its accounts are open on the server, and nothing changes there because of an upgrade."""
    files = {path: path.read_bytes() for path in (tmp_path / "config").iterdir()}
    server = upgraded.queries.server_by_name(SYSTEM, "main")
    upgraded.services.sync.push(SYSTEM, server.uid)
    deleted = upgraded.queries.mailboxes(SYSTEM, MailboxFilter(status=Status.DELETED)).rows
    assert [(row["login_open"], row["sync_status"]) for row in deleted] == [(True, "SYNCED")] * 5
    assert {path: path.read_bytes() for path in (tmp_path / "config").iterdir()} == files
    differing = {d.key.address for d in upgraded.services.sync.preview(SYSTEM, server.uid).differing}
    assert not differing & {row["address"] for row in deleted}
    first = upgraded.services.mailboxes.delete(SYSTEM, deleted[0]["uid"])
    assert (first.login_open, first.sync_status) == (False, "SYNCED")
    line = next(a for a in accounts(tmp_path) if a.startswith(first.address))
    assert line.endswith("|fail=y")


def test_what_was_there_before_is_found(upgraded: Postroom) -> None:
    everything = upgraded.queries.mailboxes(SYSTEM).rows
    row = next(row for row in everything if " " in row["display_name"])
    first, last = row["display_name"].split()[:2]
    found = upgraded.queries.mailboxes(SYSTEM, MailboxFilter(search=f"{last} {first} {row['address']}")).rows
    assert [one["address"] for one in found] == [row["address"]]


def accounts(folder: Path) -> list[str]:
    return (folder / "config" / "postfix-accounts.cf").read_text().splitlines()


def test_it_goes_on_delivering(upgraded: Postroom, tmp_path: Path) -> None:
    branch = upgraded.queries.server_by_name(SYSTEM, "branch")
    (tmp_path / "branch").mkdir()
    upgraded.services.servers.edit(SYSTEM, branch.uid, settings={"path": str(tmp_path / "branch")})
    upgraded.services.sync.retry_all(SYSTEM)
    assert counted(upgraded)["PENDING"] == 0
    accounts = (tmp_path / "branch" / "postfix-accounts.cf").read_text().splitlines()
    assert {line.split("$")[0] for line in accounts} == {
        f"b{n}@branch.example|{{SHA512-CRYPT}}" for n in range(WAITING)
    }
    upgraded.services.mailboxes.create(SYSTEM, NewMailbox("new@example.com", password_hash=HASH))
    preview = upgraded.services.sync.preview(SYSTEM, upgraded.queries.server_by_name(SYSTEM, "main").uid)
    assert (preview.unknown, preview.conflicts) == ([], [])
    assert upgraded.queries.verify_audit(SYSTEM).intact


def test_people_and_programs_get_in_as_before(upgraded: Postroom, release: Path) -> None:
    """Also a call that is repeated over the upgrade gets the answer that was kept."""
    assert upgraded.sign_in.check("dora", Secret("Correct-Horse-1"), "192.0.2.1")
    token = (release / f"{'sqlite' if upgraded.database.is_sqlite else 'postgresql'}.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "key-of-that-call"}
    with client(upgraded) as http:
        body = {"email": "api@example.com", "passwordHash": HASH.reveal()}
        answer = http.post(f"{BASE}/mailboxes", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == str(upgraded.queries.mailbox_by_address(SYSTEM, "api@example.com").uid)


def test_an_import_that_had_not_begun_is_done(upgraded: Postroom) -> None:
    before = counted(upgraded)["ACTIVE"]
    assert run_next_task(upgraded)
    assert counted(upgraded)["ACTIVE"] == before + 5


def test_its_backup_is_restored(release: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "restored")
    restore_backup(settings, release / "release.backup", SYSTEM)
    app = open_postroom(settings)
    assert counted(app)["ACTIVE"] == 252
    assert app.queries.verify_audit(SYSTEM).intact
    app.close()
