"""Imports in the background: they survive a kill, never double, obey a cancel, keep no password longer than needed."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from unittest import mock
from uuid import UUID, uuid4

import pytest
import time_machine
from sqlalchemy import Connection, event, func, select, update

from provision.core.access import Actor, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput, NotFound
from provision.core.passwords import verify_password
from provision.core.secret import Secret
from provision.identity.sign_in import actor_of
from provision.jobs.scheduled_tasks import KINDS, run_next_task
from provision.storage.models import ImportJob, Mailbox, ProvisionLog, ScheduledTask, TaskStatus, utc_now
from provision.storage.tasks import LEASE
from provision.transfer import import_jobs as imports
from provision.transfer.csv_reader import Encoding, Reading
from provision.transfer.import_jobs import (
    KEPT,
    cancel_import,
    dismiss_import,
    import_job,
    import_jobs,
    made_passwords,
    rejected_rows,
    remembered,
    start_import,
)
from tests.batches import note_batches
from tests.conftest import HASH, World
from tests.nightly import by_day
from tests.sync.workers import ROOT, workers
from tests.waiting import wait_for

KILLS = by_day(4, 50)
HEADER = "email,password_hash,display_name\n"


def table(*addresses: str) -> bytes:
    return (HEADER + "".join(f"{a},{HASH.reveal()},Somebody\n" for a in addresses)).encode()


def many(count: int, domain: str = "example.com") -> list[str]:
    return [f"user{n:04}@{domain}" for n in range(count)]


@pytest.fixture
def admin(world: World) -> Actor:
    return operator(world, "ada", Role.SUPER_ADMIN)


def operator(world: World, name: str, role: Role, domains: tuple[str, ...] = ()) -> Actor:
    row, _ = world.app.services.operators.create(
        world.alice, name, role, domains=domains, password=Secret("Correct-Horse-1")
    )
    return actor_of(row, "192.0.2.9")


def run(world: World, chunk: int = imports.CHUNK) -> bool:
    """The next task, if there is one, in chunks of so many rows."""
    with mock.patch.object(imports, "CHUNK", chunk):
        return run_next_task(world.app)


def task_of(world: World, uid: UUID) -> ScheduledTask:
    with world.app.database.read() as session:
        is_its = (ScheduledTask.kind == imports.IMPORT, ScheduledTask.subject == uid)
        return session.scalars(select(ScheduledTask).where(*is_its)).one()


def row_of(world: World, uid: UUID) -> ImportJob:
    with world.app.database.read() as session:
        return session.scalars(select(ImportJob).where(ImportJob.uid == uid)).one()


def mailboxes(world: World) -> int:
    with world.app.database.read() as session:
        return session.scalar(select(func.count()).select_from(Mailbox)) or 0


# ---- the whole way -------------------------------------------------------------------------


@pytest.mark.both_databases
def test_a_file_is_imported_in_chunks_and_reaches_the_server(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, table(*many(12), "nonsense", "anna@nowhere.example"))
    waiting = import_job(world.app, admin, uid)
    assert (waiting.status, waiting.total, waiting.done) == (TaskStatus.WAITING, 14, 0)

    assert run(world, 5) is True

    done = import_job(world.app, admin, uid)
    assert (done.status, done.done, done.created, done.refused) == (TaskStatus.DONE, 14, 12, 2)
    assert world.text().count("user00") == 12
    assert run(world) is False


def test_one_batch_for_all_chunks(world: World, admin: Actor) -> None:
    batches = note_batches(world.app)
    start_import(world.app, admin, table(*many(20)))
    run(world, 5)
    assert batches == [20]


def test_the_same_uid_is_the_same_job(world: World, admin: Actor) -> None:
    uid = uuid4()
    assert (
        start_import(world.app, admin, table(*many(3)), uid=uid)
        == start_import(world.app, admin, table(*many(3)), uid=uid)
        == uid
    )
    run(world)
    assert run(world) is False


@pytest.mark.both_databases
def test_the_same_uid_many_times_at_one_moment_is_one_job(world: World, admin: Actor) -> None:
    for _ in range(10):
        uid, together = uuid4(), Barrier(2)

        def start(uid: UUID = uid, together: Barrier = together) -> UUID:
            together.wait()
            return start_import(world.app, admin, table(*many(3)), uid=uid)

        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(start) for _ in range(2)]
        assert {answer.result() for answer in answers} == {uid}
        cancel_import(world.app, admin, uid)


def test_what_cannot_be_read_is_refused_at_once(world: World, admin: Actor) -> None:
    for data in (b"\x89PNG\r\n\x1a\n\0\0", b"", HEADER.encode(), b"name\nx\n"):
        with pytest.raises(InvalidInput):
            start_import(world.app, admin, data)


def test_no_more_than_a_few_may_wait(world: World, admin: Actor) -> None:
    for n in range(imports.MAX_WAITING):
        start_import(world.app, admin, table(f"u{n}@example.com"))
    with pytest.raises(Conflict, match="still waiting"):
        start_import(world.app, admin, table("last@example.com"))


@pytest.mark.both_databases
def test_the_worker_process_does_it(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, table(*many(12)))
    settings = {"DATA_DIR": str(world.app.settings.data_dir), "DATABASE_URL": world.app.settings.url, "JOBS": "false"}
    environment = {**os.environ, **{f"POSTROOM_{name}": value for name, value in settings.items()}}
    with subprocess.Popen([sys.executable, "-m", "provision", "worker"], cwd=ROOT, env=environment) as worker:
        try:
            wait_for(lambda: not import_job(world.app, admin, uid).open, 60)
        finally:
            worker.kill()
    job = import_job(world.app, admin, uid)
    assert (job.status, job.created, job.refused) == (TaskStatus.DONE, 12, 0)


def test_a_file_in_another_encoding_is_imported_as_it_was_looked_at(world: World, admin: Actor) -> None:
    data = table("a@example.com").replace(b"Somebody", "山田".encode("cp932"))
    with pytest.raises(InvalidInput, match="Say which"):
        start_import(world.app, admin, data)
    start_import(world.app, admin, data, Reading(Encoding.SHIFT_JIS))
    run(world)
    assert world.app.queries.mailbox_by_address(admin, "a@example.com").display_name == "山田"


# ---- kill and resume -----------------------------------------------------------------------


class Killed(BaseException):
    """As if the process were gone: nothing of ours catches it."""


def killed_after(world: World, commits: int) -> None:
    """A run whose process is gone when it has so many transactions behind it and the next one is not yet committed."""
    left = commits

    def die(connection: Connection) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            connection.invalidate()  # the database undoes what was not committed
            raise Killed

    event.listen(world.app.database.engine, "commit", die)
    with pytest.raises(Killed):
        run(world, 5)
    event.remove(world.app.database.engine, "commit", die)


@contextmanager
def taken_for_dead() -> Iterator[None]:
    with time_machine.travel(utc_now() + LEASE + timedelta(seconds=1), tick=True):
        yield


@pytest.mark.parametrize("commits", range(1, 7))
def test_resumed_after_a_kill_nothing_is_doubled(world: World, admin: Actor, commits: int) -> None:
    world.add("user0003@example.com")  # refused in the first chunk, also when that is replayed
    addresses = [*many(17), "user0001@example.com", "x y@example.com"]
    uid = start_import(world.app, admin, table(*addresses))
    killed_after(world, commits)
    assert run(world, 5) is False  # its process may still live
    shown = import_job(world.app, admin, uid).done
    with taken_for_dead():
        assert run(world, 5) is True
        job = import_job(world.app, admin, uid)
        assert job.done >= shown
        assert (job.status, job.total, job.created, job.refused) == (TaskStatus.DONE, 19, 16, 3)
        assert mailboxes(world) == 17
        rejected = rejected_rows(world.app, admin, uid)
    assert rejected.count("\n") == 4
    assert "user0003@example.com" in rejected
    assert "user0001@example.com" in rejected


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_resumed_under_other_rules_and_rights_no_row_is_lost(world: World, admin: Actor, commits: int) -> None:
    """What was done stays; the rest goes by the rules of now."""
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com", "example.org"))
    short, long = "Aa1-bcdefg", "Aa1-bcdefg-hijklmn"
    rows = [(f"user{n:02}@example.{'org' if n % 3 == 0 else 'com'}", long if n % 4 else short) for n in range(15)]
    rows.insert(2, ("weak@example.com", "weak"))
    data = "email,password\n" + "".join(f"{address},{password}\n" for address, password in rows)
    uid = start_import(world.app, dom, data.encode())
    killed_after(world, commits)
    before = mailboxes(world)
    assert (before > 0) == (commits > 1)

    world.app.services.policy.edit(world.alice, {"password_min_length": len(long)})
    row = next(o for o in world.app.queries.operators(world.alice) if o["username"] == "dom")
    world.app.services.operators.edit(world.alice, row["uid"], domains=["example.com"])
    with taken_for_dead():
        assert run(world, 5) is True
        job = import_job(world.app, dom, uid)
        assert (job.status, job.done, job.created + job.refused) == (TaskStatus.DONE, 16, 16)
        assert before <= job.created == mailboxes(world) < 15
        rejected = rejected_rows(world.app, dom, uid)
    with world.app.database.read() as session:
        made = set(session.scalars(select(Mailbox.address)))
    assert {address for address, _ in rows if address in rejected} == {address for address, _ in rows} - made
    assert "needs 18 to" in rejected
    assert "not yours" in rejected


def test_what_a_failed_import_did_not_get_to_is_among_the_refused_rows(world: World, admin: Actor) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, dom, table(*many(12), "x y@example.com"))
    killed_after(world, 2)
    made = mailboxes(world)
    row = next(o for o in world.app.queries.operators(world.alice) if o["username"] == "dom")
    world.app.services.operators.edit(world.alice, row["uid"], enabled=False)
    with taken_for_dead():
        run(world, 5)
        job = import_job(world.app, admin, uid)
        assert (job.status, job.refused) == (TaskStatus.FAILED, 13)
        assert rejected_rows(world.app, admin, uid).count("may not sign in any more") == 12
    assert mailboxes(world) == made == 5


@pytest.mark.both_databases
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_for_real(world: World, admin: Actor) -> None:
    """`kill -9` to one of three processes that have imports in hand; in the end each row is there, once."""
    uids: list[UUID] = []

    def start_more() -> None:
        if sum(import_job(world.app, admin, uid).open for uid in uids) < 2:
            lines = (f"user{n}-{len(uids)}@example.com,Correct-Horse-1,\n" for n in range(100))
            uids.append(start_import(world.app, admin, ("email,password,display_name\n" + "".join(lines)).encode()))

    with workers(world.app) as crew:
        crew.kill_at_work(KILLS, start_more)
        wait_for(lambda: not any(import_job(world.app, admin, uid).open for uid in uids), 120)
    for uid in uids:
        job = import_job(world.app, admin, uid)
        assert (job.status, job.done, job.created, job.refused) == (TaskStatus.DONE, 100, 100, 0)
    assert mailboxes(world) == 100 * len(uids)
    with world.app.database.read() as session:
        intents = select(func.count()).where(
            ProvisionLog.operation == "mailbox.create", ProvisionLog.resource_name.like("user%")
        )
        assert session.scalar(intents) == 100 * len(uids)
    assert world.app.queries.verify_audit(world.alice).intact


@contextmanager
def under_way(world: World, admin: Actor, rows: int) -> Iterator[UUID]:
    """An import of so many rows by a thread, in small chunks, some of which are done; at the end it is over."""
    uid = start_import(world.app, admin, table(*many(rows)))
    with ThreadPoolExecutor(1) as pool:
        over = pool.submit(run, world, 5)
        wait_for(lambda: import_job(world.app, admin, uid).done)
        yield uid
        assert over.result() is True


@pytest.mark.both_databases
def test_who_lost_their_claim_stops(world: World, admin: Actor) -> None:
    with under_way(world, admin, 300) as uid, world.app.database.write() as session:
        session.execute(update(ScheduledTask).values(owner="another"))
    task = task_of(world, uid)
    assert (task.status, task.owner) == (TaskStatus.RUNNING, "another")
    assert 0 < task.done < 300
    assert mailboxes(world) == task.done == row_of(world, uid).created


def test_a_job_that_never_ends_is_given_up(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, table(*many(3)))
    with world.app.database.write() as session:
        session.execute(update(ScheduledTask).values(attempts=KINDS[imports.IMPORT].max_attempts))
    run(world)
    job = import_job(world.app, admin, uid)
    assert (job.status, job.error) == (TaskStatus.FAILED, "It was begun 5 times and never came to its end.")
    assert row_of(world, uid).sealed_upload is None


# ---- columns of others, new passwords ------------------------------------------------------

STAFF = "Name,Mail,Kennwort\n" + "".join(f"Person {n},user{n:04}@example.com,\n" for n in range(17)) + "No,no,\n"


@pytest.mark.parametrize("commits", [1, 2, 4])
def test_new_passwords_are_those_that_were_set_also_after_a_kill(world: World, admin: Actor, commits: int) -> None:
    world.add("user0003@example.com")
    uid = start_import(world.app, admin, STAFF.encode(), Reading(passwords=True))
    killed_after(world, commits)
    with taken_for_dead():
        assert run(world, 5) is True
        job = import_job(world.app, admin, uid)
        assert (job.status, job.created, job.refused, job.has_passwords) == (TaskStatus.DONE, 16, 2, True)
        told = dict(csv.reader(made_passwords(world.app, admin, uid).splitlines()[1:]))
    hashes = dict(line.split("|") for line in world.text().splitlines())
    assert set(told) == set(hashes) - {"user0003@example.com"}
    assert all(verify_password(Secret(told[name]), Secret(hashes[name])) for name in list(told)[::5])


def test_new_passwords_are_told_once_and_kept_sealed_until_then(world: World, admin: Actor) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, admin, STAFF.encode(), Reading(passwords=True))
    with pytest.raises(NotFound):
        made_passwords(world.app, admin, uid)
    run(world)
    sealed = row_of(world, uid).sealed_passwords
    with pytest.raises(NotFound):
        made_passwords(world.app, dom, uid)
    told = made_passwords(world.app, admin, uid)
    assert told.count("@example.com,") == 17
    assert sealed
    assert told.splitlines()[1].partition(",")[2] not in sealed
    assert row_of(world, uid).sealed_passwords is None
    assert not import_job(world.app, admin, uid).has_passwords
    with pytest.raises(NotFound, match="not kept any more"):
        made_passwords(world.app, admin, uid)


def test_new_passwords_that_nobody_fetches_are_forgotten(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, STAFF.replace("No,no,\n", "").encode(), Reading(passwords=True))
    run(world)
    with time_machine.travel(utc_now() + KEPT + timedelta(minutes=1), tick=True):
        with pytest.raises(NotFound):
            made_passwords(world.app, admin, uid)
        run(world)
        assert row_of(world, uid).sealed_passwords is None


def test_an_import_that_is_cancelled_before_it_began_leaves_no_passwords(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, STAFF.encode(), Reading(passwords=True))
    assert row_of(world, uid).sealed_passwords
    cancel_import(world.app, admin, uid)
    assert row_of(world, uid).sealed_passwords is None


def test_what_the_columns_of_a_file_were_is_remembered_for_its_operator(world: World, admin: Actor) -> None:
    chosen = {"email": "Mail", "password": "Code"}
    start_import(world.app, admin, b"Mail,Code,Name\na@example.com,Correct-Horse-1,A\n", Reading(columns=chosen))
    assert remembered(world.app, admin, ["Mail", "Code", "Name"]) == chosen
    assert remembered(world.app, admin, ["Mail", "Code"]) is None
    assert remembered(world.app, operator(world, "eve", Role.SUPER_ADMIN), ["Mail", "Code", "Name"]) is None
    run(world)
    assert world.app.queries.mailbox_by_address(admin, "a@example.com").display_name == ""


@pytest.mark.parametrize("commits", [1, 2, 3, 5])
def test_an_update_goes_on_after_a_kill(world: World, admin: Actor, commits: int) -> None:
    for n in range(0, 12, 2):
        world.add(f"user{n:04}@example.com", quota_bytes=1 << 30)
    rows = "".join(f"user{n:04}@example.com,{HASH.reveal()},5 GB\n" for n in range(12))
    uid = start_import(world.app, admin, f"email,password_hash,quota_mb\n{rows}".encode(), Reading(update=True))
    killed_after(world, commits)
    with taken_for_dead():
        assert run(world, 5) is True
        job = import_job(world.app, admin, uid)
    assert (job.status, job.done, job.created, job.refused, job.existing) == (TaskStatus.DONE, 12, 6, 0, 6)
    assert world.text("dovecot-quotas.cf").count(":5120M\n") == 12
    assert world.app.queries.verify_audit(world.alice).intact


# ---- cancel --------------------------------------------------------------------------------


def test_cancelled_before_it_began(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, table(*many(3)))
    assert cancel_import(world.app, admin, uid).status == TaskStatus.CANCELLED
    assert run(world) is False
    assert row_of(world, uid).sealed_upload is None


@pytest.mark.both_databases
def test_cancelled_in_the_middle(world: World, admin: Actor) -> None:
    with under_way(world, admin, 300) as uid:
        assert cancel_import(world.app, admin, uid).cancelling
    job = import_job(world.app, admin, uid)
    assert job.status == TaskStatus.CANCELLED
    assert 0 < job.done < 300
    assert job.done == job.created == mailboxes(world) == world.text().count("\n")


# ---- secrets -------------------------------------------------------------------------------


def test_passwords_are_sealed_and_erased(world: World, admin: Actor) -> None:
    password = "Correct-Horse-1"
    data = f"email,password\nanna@example.com,{password}\nanna@nowhere.example,{password}\n".encode()
    uid = start_import(world.app, admin, data)
    waiting = row_of(world, uid)
    assert waiting.sealed_upload
    assert password not in waiting.sealed_upload
    run(world)
    done = row_of(world, uid)
    assert done.sealed_upload is None
    assert done.sealed_rejected
    assert password not in done.sealed_rejected
    assert password in rejected_rows(world.app, admin, uid)
    with time_machine.travel(utc_now() + KEPT + timedelta(minutes=1), tick=True):
        with pytest.raises(NotFound):
            rejected_rows(world.app, admin, uid)
        run(world)
        assert row_of(world, uid).sealed_rejected is None
        assert import_jobs(world.app, admin) == []


# ---- who may -------------------------------------------------------------------------------


def test_a_viewer_is_denied_and_it_is_recorded(world: World) -> None:
    with pytest.raises(AccessDenied):
        start_import(world.app, operator(world, "vic", Role.VIEWER), table("anna@example.com"))
    with world.app.database.read() as session:
        record = session.scalars(select(ProvisionLog).where(ProvisionLog.operation == "mailbox.import")).one()
    assert (record.operator, record.status, record.error) == ("vic", "FAILED", "INSUFFICIENT_PERMISSION")


def test_a_domain_admin_gets_only_their_domains(world: World) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, dom, table("a@example.com", "b@example.org", "c@example.com"))
    run(world)
    job = import_job(world.app, dom, uid)
    assert (job.status, job.created, job.refused) == (TaskStatus.DONE, 2, 1)
    assert "not yours" in rejected_rows(world.app, dom, uid)


@pytest.mark.parametrize("change", [{"enabled": False}, {"role": Role.VIEWER}])
def test_rights_are_those_of_the_moment_it_runs(world: World, admin: Actor, change: dict[str, object]) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, dom, table("a@example.com"))
    row = next(o for o in world.app.queries.operators(world.alice) if o["username"] == "dom")
    world.app.services.operators.edit(world.alice, row["uid"], **change)  # type: ignore[arg-type]
    run(world)
    job = import_job(world.app, world.alice, uid)
    assert job.status == TaskStatus.FAILED
    assert job.error
    assert mailboxes(world) == 0


def test_only_its_owner_and_a_super_admin_see_it(world: World, admin: Actor) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    eve = operator(world, "eve", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, dom, table("a@example.com", "b@nowhere.example"))
    run(world)
    assert import_job(world.app, admin, uid).operator == "dom"
    assert [job.uid for job in import_jobs(world.app, dom)] == [uid]
    assert import_jobs(world.app, eve) == []
    for forbidden in (import_job, cancel_import, dismiss_import, rejected_rows):
        with pytest.raises(NotFound):
            forbidden(world.app, eve, uid)  # type: ignore[operator]
    dismiss_import(world.app, dom, uid)
    assert import_jobs(world.app, dom) == []
