"""Imports from before migration 0010, when claims and progress were columns of their own, go on after the upgrade."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import inspect, text
from uuid6 import uuid7

from provision.app import Postroom, open_postroom
from provision.core.access import Actor, Role
from provision.core.errors import NotFound
from provision.core.secret import Secret
from provision.identity.sign_in import actor_of
from provision.jobs.scheduled_tasks import run_next_task
from provision.ops.backup import _as_it_is, restore_backup, write_backup
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.models import Base, TaskStatus, utc_now
from provision.transfer import import_jobs as imports
from provision.transfer.csv_io import import_sheet
from provision.transfer.csv_reader import Sheet, read_rows
from tests.conftest import HASH, make_world

pytestmark = pytest.mark.both_databases

SYSTEM = Actor.system("test")
LATER = (  # columns that the code of today asks for, and that came after the form of then
    *(("server", name) for name in ("sealed_settings", "silent_until", "rules")),
    *(("idempotency_key", name) for name in ("request_mac", "status", "sealed_body")),
    *(("import_job", name) for name in ("sealed_passwords", "reading")),
    *(("mailbox", name) for name in ("login_open", "searched")),
)
FILE = "email,password_hash\n" + "".join(f"user{n:02}@example.com,{HASH.reveal()}\n" for n in range(12)) + "no,x\n"


@pytest.fixture
def former(settings: Settings, volume: Path) -> Iterator[Postroom]:
    """A database in the form it had before tasks, with a server, a domain and the operator ada."""
    with closing(Database(settings.url)) as database:
        if database.is_sqlite:
            Path(database.url.database or "").unlink()
        else:
            with database.write() as session:
                session.execute(text("DROP SCHEMA public CASCADE"))
                session.execute(text("CREATE SCHEMA public"))
    with closing(Database(settings.url)) as database:
        database.migrate("0009")
        alter(database, "ADD COLUMN {name} {type}")
    with closing(open_postroom(settings, migrate=False)) as app:
        make_world(app, volume)
        yield app


def alter(database: Database, change: str) -> None:
    with database.write() as session:
        dialect = session.connection().dialect
        for table, name in LATER:
            kind = Base.metadata.tables[table].columns[name].type.compile(dialect)
            session.execute(text(f"ALTER TABLE {table} {change.format(name=name, type=kind)}"))


def as_it_was(app: Postroom) -> Postroom:
    alter(app.database, "DROP COLUMN {name}")
    return app


def upgraded(app: Postroom) -> None:
    as_it_was(app).database.migrate()


@pytest.fixture
def ada(former: Postroom) -> Actor:
    row, _ = former.services.operators.create(SYSTEM, "ada", Role.SUPER_ADMIN, password=Secret("Correct-Horse-1"))
    return actor_of(row, None)


def insert(app: Postroom, ada: Actor, **values: Any) -> UUID:
    """An import as the former release wrote it."""
    uid, now = uuid7(), utc_now()
    row = {
        "uid": uid,
        "created_at": now,
        "updated_at": now,
        "version": 1,
        "operator_id": ada.operator_id,
        "operator": ada.name,
        "status": "WAITING",
        "total": 13,
        "done": 0,
        "created": 0,
        "refused": 0,
        "sealed_upload": imports._seal(app, FILE.encode()),
        "cancelling": False,
        "dismissed": False,
        "claims": 0,
        **values,
    }
    with app.database.write() as session:
        session.execute(_as_it_is(session.connection(), "import_job").insert().values(row))
    return uid


def begun(app: Postroom, ada: Actor) -> UUID:
    """One whose process made the first chunk and is gone before it wrote how far it was."""
    uid = insert(app, ada, status="RUNNING", claim="0" * 32, claims=1, heartbeat_at=utc_now())
    sheet = read_rows(FILE.encode(), None)
    part = Sheet(sheet.columns, sheet.mapping, sheet.rows[:5], sheet.news[:5])
    import_sheet(app, ada, part, push=False, idempotency_key=f"import-{uid}-0")
    return uid


def finished(app: Postroom, ada: Actor, then: datetime) -> UUID:
    sealed = imports._seal(app, b"error,email\nwhy,no\n")
    counts = {"done": 13, "created": 12, "refused": 1, "claims": 1, "claim": "1" * 32}
    return insert(app, ada, status="DONE", finished_at=then, sealed_upload=None, sealed_rejected=sealed, **counts)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK", 5)


def test_one_that_waited_and_one_that_ran_go_on(former: Postroom, ada: Actor) -> None:
    ran = begun(former, ada)
    upgraded(former)
    assert imports.import_job(former, ada, ran).status == TaskStatus.WAITING
    assert run_next_task(former) is True
    job = imports.import_job(former, ada, ran)
    assert (job.status, job.done, job.created, job.refused) == (TaskStatus.DONE, 13, 12, 1)
    assert former.queries.mailboxes(ada).total == 12
    assert former.queries.verify_audit(ada).intact


def test_one_that_was_being_stopped_stops(former: Postroom, ada: Actor) -> None:
    uid = insert(former, ada, status="RUNNING", cancelling=True, claim="0" * 32, claims=1, heartbeat_at=utc_now())
    upgraded(former)
    run_next_task(former)
    job = imports.import_job(former, ada, uid)
    assert (job.status, job.created) == (TaskStatus.CANCELLED, 0)


def test_one_that_waits_can_be_cancelled(former: Postroom, ada: Actor) -> None:
    uid = insert(former, ada)
    upgraded(former)
    assert imports.cancel_import(former, ada, uid).status == TaskStatus.CANCELLED


def test_refused_rows_are_kept_for_their_day_and_erased_then(former: Postroom, ada: Actor) -> None:
    uid = finished(former, ada, utc_now() - timedelta(hours=23))
    upgraded(former)
    assert run_next_task(former) is False
    assert imports.rejected_rows(former, ada, uid) == "error,email\nwhy,no\n"
    assert [job.uid for job in imports.import_jobs(former, ada)] == [uid]
    with time_machine.travel(utc_now() + timedelta(hours=1, minutes=1)):
        assert run_next_task(former) is True
        with pytest.raises(NotFound):
            imports.rejected_rows(former, ada, uid)
    with former.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM import_job WHERE sealed_rejected IS NOT NULL")) == 0


def test_a_backup_of_the_former_form_brings_them_back(former: Postroom, ada: Actor, tmp_path: Path) -> None:
    """Also where this release makes it, right before its upgrade."""
    then = utc_now() - timedelta(hours=23)
    uid, done = begun(former, ada), finished(former, ada, then)
    assert write_backup(as_it_was(former).settings, tmp_path / "backup").revision == "0009"
    there = Settings(data_dir=tmp_path / "there")
    restore_backup(there, tmp_path / "backup", SYSTEM)
    with closing(open_postroom(there)) as app:
        assert run_next_task(app) is True
        job = imports.import_job(app, ada, uid)
        assert (job.status, job.done, job.created, job.refused) == (TaskStatus.DONE, 13, 12, 1)
        assert imports.import_job(app, ada, done).finished_at == then


def test_the_tables_are_as_the_models_say(former: Postroom) -> None:
    upgraded(former)
    with former.database.read() as session:
        there = inspect(session.connection())
        for name in ("scheduled_task", "import_job"):
            model = Base.metadata.tables[name]
            assert {column["name"] for column in there.get_columns(name)} == set(model.columns.keys())
            indexes = {(index["name"], index["unique"]) for index in there.get_indexes(name) if index["name"]}
            assert indexes >= {(index.name, int(index.unique)) for index in model.indexes}
            checks = {check["name"] for check in there.get_check_constraints(name)}
            assert len(checks) == sum(type(rule).__name__ == "CheckConstraint" for rule in model.constraints)
