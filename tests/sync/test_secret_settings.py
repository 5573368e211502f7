"""A secret setting of a mail server is encrypted where it is kept, and appears nowhere else."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from provision.app import Postroom, open_postroom
from provision.core.access import Actor, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput
from provision.core.traits import Traits
from provision.ops import keys
from provision.ops.backup import restore_backup, write_backup
from provision.ops.doctor import examine
from provision.queries import LogFilter
from provision.services.new_mailbox import NewMailbox
from provision.settings.config import Settings
from provision.storage.models import Server, SyncStatus
from provision.sync.result import PushStatus
from tests.conftest import HASH
from tests.servers.made_up import API_KEY, KIND, Remote, made_up

pytestmark = pytest.mark.both_databases

ALICE = Actor("alice", Role.SUPER_ADMIN, operator_id=1)
VERA = Actor("vera", Role.VIEWER, operator_id=3)
URL = "https://made.up"
GIVEN = {"url": URL, "api_key": API_KEY}
NEW_KEY = "Another-key-0815"


@pytest.fixture
def remote() -> Iterator[Remote]:
    with made_up(Traits(reads_password=False)) as remote:
        yield remote


@pytest.fixture
def server(postroom: Postroom, remote: Remote) -> Server:
    row = postroom.services.servers.create(ALICE, "far", KIND, GIVEN, quiet_seconds=0, idempotency_key="once")
    postroom.services.domains.create(ALICE, "example.com", "far")
    return row


def everything_stored(app: Postroom) -> str:
    """All rows of all tables, as text."""
    with app.database.read() as session:
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        if not app.database.is_sqlite:
            names = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        tables = session.scalars(text(names)).all()
        return "\n".join(str(row) for table in tables for row in session.execute(text(f'SELECT * FROM "{table}"')))


def edit(app: Postroom, server: Server, **settings: str) -> Server:
    return app.services.servers.edit(ALICE, server.uid, settings={"url": URL, **settings})


def test_the_driver_gets_it_and_the_database_does_not(postroom: Postroom, server: Server, remote: Remote) -> None:
    row = postroom.services.mailboxes.create(ALICE, NewMailbox("anna@example.com", password_hash=HASH))
    assert row.sync_status == SyncStatus.SYNCED
    edit(postroom, server, api_key="", region="there")
    edit(postroom, server, api_key="***")
    postroom.services.servers.check(ALICE, server.uid)
    stored = everything_stored(postroom)
    assert "far" in stored
    assert API_KEY not in stored
    assert "POST anna@example.com?key=***" in stored, "what the driver says of its commands"
    (log, *_) = postroom.queries.logs(VERA, LogFilter(operation="server.create")).rows
    assert log["payload"]["settings"] == {"url": URL, "api_key": "***"}


def test_an_empty_field_keeps_it_and_another_value_replaces_it(
    postroom: Postroom, server: Server, remote: Remote
) -> None:
    edit(postroom, server, api_key="")
    assert postroom.services.servers.check(ALICE, server.uid) == []
    remote.key = NEW_KEY
    edit(postroom, server, api_key=NEW_KEY)
    assert postroom.services.servers.check(ALICE, server.uid) == []
    with pytest.raises(InvalidInput, match="needs the setting “api_key”"):
        edit(postroom, server)
    assert NEW_KEY not in everything_stored(postroom)


def test_what_the_driver_says_of_its_trouble_is_without_it(postroom: Postroom, server: Server, remote: Remote) -> None:
    remote.key = NEW_KEY
    said = postroom.services.servers.check(ALICE, server.uid)
    said += postroom.services.servers.check_settings(ALICE, KIND, GIVEN)
    postroom.services.mailboxes.create(ALICE, NewMailbox("anna@example.com", password_hash=HASH))
    result = postroom.sync.push(server.id, ignore_backoff=True)
    assert result.status is PushStatus.UNREACHABLE
    postroom.sync.probe(server.id)
    said += [result.message, postroom.queries.server_by_name(ALICE, "far").error or ""]
    said += [finding.text for finding in examine(postroom.settings)]
    assert any("key=***" in text for text in said)
    assert not any(API_KEY in text for text in said)
    assert API_KEY not in everything_stored(postroom)


def test_nobody_is_shown_it(postroom: Postroom, server: Server) -> None:
    rows = postroom.queries.servers(ALICE)
    assert rows[0].settings == {"url": URL, "api_key": "***"}
    assert "sealed_settings" not in vars(rows[0]), "not even sealed"
    assert postroom.queries.servers(VERA)[0].settings == {}
    with pytest.raises(AccessDenied):
        postroom.services.servers.edit(VERA, server.uid, settings=GIVEN)
    with pytest.raises(Conflict) as caught:
        postroom.services.servers.edit(ALICE, server.uid, settings=GIVEN, expected_version=99)
    assert API_KEY not in str(caught.value) + str(caught.value.details)
    assert caught.value.details["current"]["settings"]["api_key"] == "***"


def test_a_value_that_cannot_be_used_is_not_repeated(postroom: Postroom, remote: Remote) -> None:
    with pytest.raises(InvalidInput, match="is not stored here"):
        postroom.services.servers.create(ALICE, "far", KIND, {"url": URL, "api_key": "***"})
    with pytest.raises(InvalidInput, match="is here or there"):
        postroom.services.servers.create(ALICE, "far", KIND, {**GIVEN, "region": "nowhere"})


def test_the_same_call_again_is_the_same_server(postroom: Postroom, server: Server) -> None:
    again = postroom.services.servers.create(ALICE, "far", KIND, GIVEN, idempotency_key="once")
    assert again.uid == server.uid


def test_a_backup_has_it_sealed_and_a_restore_opens_it(postroom: Postroom, server: Server, tmp_path: Path) -> None:
    write_backup(postroom.settings, tmp_path / "backup")
    with gzip.open(tmp_path / "backup", "rt") as file:
        assert API_KEY not in file.read()
    elsewhere = Settings(data_dir=tmp_path / "elsewhere")
    restore_backup(elsewhere, tmp_path / "backup", ALICE)
    with closing(open_postroom(elsewhere)) as app:
        assert app.services.servers.check(ALICE, server.uid) == []


def test_a_new_key_seals_it_anew(postroom: Postroom, server: Server) -> None:
    path = postroom.settings.key_file
    assert keys.rotate(path, postroom.database, ALICE) == 1
    keys.retire(path, postroom.database, ALICE)
    assert postroom.services.servers.check(ALICE, server.uid) == []


def test_without_the_key_it_is_said_what_to_do_and_typing_it_anew_helps(postroom: Postroom, server: Server) -> None:
    postroom.settings.key_file.unlink()
    keys.make_new(postroom.settings.key_file)
    with closing(open_postroom(postroom.settings, migrate=False)) as app:
        assert app.sync.push(server.id, ignore_backoff=True).status is PushStatus.IDLE
        app.services.mailboxes.create(ALICE, NewMailbox("anna@example.com", password_hash=HASH))
        assert "type them anew" in app.sync.push(server.id, ignore_backoff=True).message
        problems = [finding.text for finding in examine(app.settings)]
        assert any("The secret settings of far" in text for text in problems)
        with pytest.raises(InvalidInput, match="type it"):
            edit(app, server, api_key="***")
        edit(app, server, api_key=API_KEY)
        assert app.sync.push(server.id, ignore_backoff=True).delivered == 1
