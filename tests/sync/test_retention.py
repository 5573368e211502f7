"""Old records move to files without a gap in the chain; the database lets go of nothing else."""

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from provision.audit import chain
from provision.audit.archive import BATCH, Archived, archive_log, verify_archive
from provision.core.access import Actor
from provision.core.errors import AccessDenied, InvalidInput
from provision.jobs.loop import Jobs
from provision.queries import LogFilter
from provision.storage.models import AuditCheckpoint, AuditLink, IdempotencyKey, ProvisionLog, utc_now
from tests.conftest import HASH, World
from tests.sync.test_audit import drop_triggers, run

pytestmark = pytest.mark.both_databases

SYSTEM = Actor.system("test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def archive(world: World, folder: Path) -> list[Archived]:
    return archive_log(world.app.database, folder, utc_now(), SYSTEM)


def operations(world: World) -> list[str]:
    return [row["operation"] for row in world.app.queries.logs(SYSTEM, LogFilter()).rows]


def count(world: World, table: type) -> int:
    with world.app.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_chain_goes_on_behind_what_was_moved(world: World, folder: Path) -> None:
    world.add("anna@example.com")
    head = world.app.queries.audit_head(SYSTEM)
    [moved] = archive(world, folder)
    assert (moved.links, moved.head) == (head["links"], head["head"])
    assert operations(world) == ["log.archive"]
    world.add("ben@example.com")
    report = world.app.queries.verify_audit(SYSTEM)
    assert report.intact
    assert report.links == head["links"] + 5  # of the moving its checkpoint's link, too


def test_the_file_can_be_verified_by_itself(world: World, folder: Path) -> None:
    world.add("anna@example.com")
    [moved] = archive(world, folder)
    report = verify_archive(moved.file, world.app.database.chain_keys)
    assert report.intact
    assert (report.links, report.head) == (moved.links, moved.head)
    assert moved.file.stat().st_mode & 0o077 == 0
    assert HASH.reveal() not in gzip.decompress(moved.file.read_bytes()).decode()


def test_a_second_file_follows_the_first(world: World, folder: Path) -> None:
    [first] = archive(world, folder)
    world.add("anna@example.com")
    [second] = archive(world, folder)
    assert verify_archive(second.file, world.app.database.chain_keys).intact
    assert second.file.name.startswith(f"log-{first.links + 1}-")
    assert world.app.queries.verify_audit(SYSTEM).intact


def test_what_is_under_way_stays_and_what_came_after_it(world: World, folder: Path) -> None:
    world.add("anna@example.com")
    world.volume.rename(world.volume.with_name("away"))
    world.add("waits@example.com")
    world.add("waits-too@example.com")
    archive(world, folder)
    assert operations(world) == ["log.archive", "mailbox.create", "mailbox.create"]
    world.volume.with_name("away").rename(world.volume)
    world.app.services.sync.push(SYSTEM, world.server.uid)
    assert world.app.queries.verify_audit(SYSTEM).intact


def test_one_operation_on_very_many_is_moved_whole(world: World, folder: Path) -> None:
    """All its intents stand before its outcomes, further apart than a batch is long."""
    with world.app.database.write() as session:
        chain.record_done(session, SYSTEM, "mailbox.import", [chain.Subject("mailbox")] * (BATCH // 2 + 1), {})
    assert archive(world, folder)[-1].links > BATCH
    assert set(operations(world)) == {"log.archive"}
    assert world.app.queries.verify_audit(SYSTEM).intact


def test_young_records_stay(world: World, folder: Path) -> None:
    before = operations(world)
    assert archive_log(world.app.database, folder, utc_now() - timedelta(days=1), SYSTEM) == []
    assert operations(world) == before


def test_who_may_not_move_records_is_denied_and_it_is_recorded(world: World, folder: Path) -> None:
    with pytest.raises(AccessDenied):
        archive_log(world.app.database, folder, utc_now(), world.vera)
    (denied,) = world.app.queries.logs(SYSTEM, LogFilter(operation="log.archive")).rows
    assert (denied["operator"], denied["status"], denied["resource_type"]) == ("vera", "FAILED", "access")
    assert not folder.exists()


@pytest.mark.parametrize("change", [("anna", "olga"), ('"SUCCESS"', '"FAILED"'), ('"seq": 3', '"seq": 4')])
def test_a_changed_file_is_found(world: World, folder: Path, change: tuple[str, str]) -> None:
    world.add("anna@example.com")
    [moved] = archive(world, folder)
    moved.file.write_bytes(gzip.compress(gzip.decompress(moved.file.read_bytes()).replace(*map(str.encode, change))))
    assert not verify_archive(moved.file, world.app.database.chain_keys).intact


def test_a_file_cut_off_is_no_archive(world: World, folder: Path) -> None:
    [moved] = archive(world, folder)
    moved.file.write_bytes(moved.file.read_bytes()[:-20])
    with pytest.raises(InvalidInput, match="cut off"):
        verify_archive(moved.file)


def test_a_broken_chain_is_not_moved_away(world: World, folder: Path) -> None:
    world.add("anna@example.com")
    drop_triggers(world.app.database)
    run(world.app.database, "UPDATE provision_log SET operator = 'nobody' WHERE resource_name = 'anna@example.com'")
    with pytest.raises(InvalidInput, match="broken at link"):
        archive(world, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM provision_log",
        "DELETE FROM audit_link",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_checkpoint SET seq = 1000",
    ],
)
def test_the_database_still_refuses_everything_else(world: World, folder: Path, statement: str) -> None:
    archive(world, folder)
    world.add("anna@example.com")
    with pytest.raises(DBAPIError, match="never"), world.app.database.engine.begin() as connection:
        connection.execute(text(statement))
    assert world.app.queries.verify_audit(SYSTEM).intact


def hide(world: World, seq: int, digest: str = "x") -> None:
    """Somebody who holds the database, its triggers in place, hides the past behind a checkpoint of their own."""
    with world.app.database.write() as session:
        last = session.get_one(AuditLink, seq)
        session.add(AuditCheckpoint(seq=seq, hash=last.hash, file="none"))
        end = session.scalars(select(AuditLink).order_by(AuditLink.seq.desc())).first()
        assert end is not None
        told = (end.seq + 1, utc_now(), chain.CHECKPOINT, uuid4(), chain.checkpoint_digest(session))
        made = chain.link_hash(end.hash, *told)
        names = ("seq", "at", "phase", "log_uid", "digest")
        session.add(AuditLink(**dict(zip(names, told, strict=True)), hash=made))
        session.flush()
        gone = select(AuditLink.log_uid).where(AuditLink.seq <= seq)
        session.execute(ProvisionLog.__table__.delete().where(ProvisionLog.uid.in_(gone)))
        session.execute(AuditLink.__table__.delete().where(AuditLink.seq <= seq))


def test_a_checkpoint_that_somebody_else_made_is_found(world: World) -> None:
    world.add("anna@example.com")
    hide(world, world.app.queries.audit_head(SYSTEM)["links"])
    assert not world.app.queries.verify_audit(SYSTEM).intact


def test_the_oldest_links_alone_cannot_be_hidden(world: World) -> None:
    world.add("anna@example.com")
    hide(world, 3)
    assert not world.app.queries.verify_audit(SYSTEM).intact


@pytest.mark.parametrize("number", ["1000000", "(SELECT max(seq) FROM audit_link)", "2"])
def test_the_database_believes_no_invented_checkpoint(world: World, number: str) -> None:
    world.add("anna@example.com")
    invented = f"INSERT INTO audit_checkpoint (seq, hash, at, file) SELECT {number}, 'x', max(at), 'x' FROM audit_link"
    with pytest.raises(DBAPIError, match="invented"):
        run(world.app.database, invented)


def test_the_database_lets_nothing_go_before_a_link_speaks_of_the_checkpoint(world: World) -> None:
    world.add("anna@example.com")
    real = "INSERT INTO audit_checkpoint (seq, hash, at, file) SELECT seq, hash, at, 'x' FROM audit_link WHERE seq = 3"
    for statement in ("DELETE FROM audit_link WHERE seq <= 3", "DELETE FROM provision_log WHERE id = 1"):
        with pytest.raises(DBAPIError, match="never removed"):
            run(world.app.database, real, statement)


def test_an_emptied_log_is_no_intact_one(world: World) -> None:
    world.app.services.operators.create(SYSTEM, "ada", "Viewer")
    drop_triggers(world.app.database)
    run(world.app.database, *(f"DELETE FROM {name}" for name in ("audit_link", "audit_checkpoint", "provision_log")))
    assert not world.app.queries.verify_audit(SYSTEM).intact


# ---- a head that was exported before the move ------------------------------------------------


@pytest.fixture
def moved(world: World, folder: Path) -> dict[str, Any]:
    """A head that was exported, and what came until then is in a file."""
    world.add("anna@example.com")
    head = world.app.queries.audit_head(SYSTEM)
    world.add("ben@example.com")
    archive(world, folder)
    return head


def test_it_is_confirmed_by_the_file(world: World, folder: Path, moved: dict[str, Any]) -> None:
    assert world.app.queries.verify_audit(SYSTEM, moved, folder).intact
    assert not world.app.queries.verify_audit(SYSTEM, {**moved, "head": "0" * 64}, folder).intact


def test_a_file_that_was_cut_off_cannot_confirm_it(world: World, folder: Path, moved: dict[str, Any]) -> None:
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    report = world.app.queries.verify_audit(SYSTEM, moved, folder)
    assert (report.broken_at, "cannot be confirmed" in str(report.reason)) == (None, True)


def test_without_the_file_it_cannot_be_confirmed(world: World, folder: Path, moved: dict[str, Any]) -> None:
    for file in folder.iterdir():
        file.unlink()
    report = world.app.queries.verify_audit(SYSTEM, moved, folder)
    assert (report.intact, report.broken_at) == (False, None)
    assert "cannot be confirmed" in str(report.reason)


def test_a_file_made_anew_does_not_confirm_it(world: World, folder: Path, moved: dict[str, Any]) -> None:
    (file,) = folder.iterdir()
    lines = gzip.decompress(file.read_bytes()).decode().replace("anna", "olga").splitlines()
    begin, *links = map(json.loads, lines)
    head = begin["begin"][1]
    for link in links:
        if "record" in link:
            told = json.dumps(link["record"], sort_keys=True, separators=(",", ":"))
            link["digest"] = hashlib.sha256(told.encode()).hexdigest()
        at, uid = datetime.fromisoformat(link["at"]), UUID(link["log_uid"])
        head = link["hash"] = chain.link_hash(head, link["seq"], at, link["phase"], uid, link["digest"])
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, [begin, *links])).encode()))
    for given in (moved, {**moved, "head": links[moved["links"] - 1]["hash"]}):
        assert not world.app.queries.verify_audit(SYSTEM, given, folder).intact


def test_the_head_at_the_checkpoint_needs_no_file(world: World, folder: Path) -> None:
    world.add("anna@example.com")
    head = world.app.queries.audit_head(SYSTEM)
    archive(world, folder)
    assert world.app.queries.verify_audit(SYSTEM, head).intact
    assert not world.app.queries.verify_audit(SYSTEM, {**head, "head": "0" * 64}).intact


def test_the_jobs_do_it_where_it_is_asked_for(world: World) -> None:
    old = utc_now() - timedelta(days=30)
    with world.app.database.write() as session:
        session.add(IdempotencyKey(key="old", operation="x", request_digest="x", created_at=old))
        session.add(IdempotencyKey(key="new", operation="x", request_digest="x"))
    Jobs(world.app).upkeep()
    assert count(world, IdempotencyKey) == 1
    assert "log.archive" not in operations(world)


def test_the_jobs_move_records_that_are_old_enough(world: World) -> None:
    world.add("anna@example.com")
    app = replace(world.app, settings=world.app.settings.model_copy(update={"log_retention_days": 2}))
    with time_machine.travel(utc_now() + timedelta(days=1)):
        Jobs(app).upkeep()
        assert "mailbox.create" in operations(world)
    with time_machine.travel(utc_now() + timedelta(days=3)):
        Jobs(app).upkeep()
        assert operations(world) == ["log.archive"]
    assert [path.stat().st_size > 0 for path in (app.settings.data_dir / "archive").iterdir()] == [True]
