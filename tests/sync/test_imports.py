"""Imports in the background: they survive a kill, never double, obey a cancel, keep no password longer than needed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import time_machine
from sqlalchemy import Connection, event, func, select, update

from provision.app import open_postroom
from provision.core.access import Actor, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput, NotFound
from provision.core.secret import Secret
from provision.identity.sign_in import actor_of
from provision.storage.models import ImportJob, JobStatus, Mailbox, ProvisionLog, utc_now
from provision.transfer import import_jobs as imports
from provision.transfer.import_jobs import (
    KEPT,
    cancel_import,
    dismiss_import,
    import_job,
    import_jobs,
    rejected_rows,
    run_next_import,
    start_import,
)
from tests.batches import note_batches
from tests.conftest import HASH, World
from tests.waiting import wait_for

HEADER = "email,password_hash,display_name\n"


def table(*addresses: str) -> bytes:
    return (HEADER + "".join(f"{a},{HASH.reveal()},Somebody\n" for a in addresses)).encode()


def many(count: int, domain: str = "example.com") -> list[str]:
    return [f"user{n:04}@{domain}" for n in range(count)]


@pytest.fixture
def admin(world: World) -> Actor:
    return operator(world, "ada", Role.SUPER_ADMIN)


def operator(world: World, name: str, role: Role, domains: tuple[str, ...] = ()) -> Actor:
    row, _ = world.app.provisioner.create_operator(
        world.alice, name, role, domains=domains, password=Secret("Correct-Horse-1")
    )
    return actor_of(row, "192.0.2.9")


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
    assert (waiting.status, waiting.total, waiting.done) == (JobStatus.WAITING, 14, 0)

    assert run_next_import(world.app, chunk=5) is True

    done = import_job(world.app, admin, uid)
    assert (done.status, done.done, done.created, done.refused) == (JobStatus.DONE, 14, 12, 2)
    assert world.text().count("user00") == 12
    assert run_next_import(world.app) is False


def test_one_batch_for_all_chunks(world: World, admin: Actor) -> None:
    batches = note_batches(world.app)
    start_import(world.app, admin, table(*many(20)))
    run_next_import(world.app, chunk=5)
    assert batches == [20]


def test_the_same_uid_is_the_same_job(world: World, admin: Actor) -> None:
    uid = uuid4()
    assert (
        start_import(world.app, admin, table(*many(3)), uid=uid)
        == start_import(world.app, admin, table(*many(3)), uid=uid)
        == uid
    )
    run_next_import(world.app)
    assert run_next_import(world.app) is False


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
        run_next_import(world.app, chunk=5)
    event.remove(world.app.database.engine, "commit", die)


@contextmanager
def taken_for_dead() -> Iterator[None]:
    with time_machine.travel(utc_now() + imports.HEARTBEAT_TIMEOUT + timedelta(seconds=1), tick=True):
        yield


@pytest.mark.parametrize("commits", range(1, 11))
def test_resumed_after_a_kill_nothing_is_doubled(world: World, admin: Actor, commits: int) -> None:
    world.add("user0003@example.com")  # refused in the first chunk, also when that is replayed
    addresses = [*many(17), "user0001@example.com", "x y@example.com"]
    uid = start_import(world.app, admin, table(*addresses))
    killed_after(world, commits)
    assert run_next_import(world.app, chunk=5) is False  # its process may still live
    shown = import_job(world.app, admin, uid).done
    with taken_for_dead():
        assert run_next_import(world.app, chunk=5) is True
        job = import_job(world.app, admin, uid)
        assert job.done >= shown
        assert (job.status, job.total, job.created, job.refused) == (JobStatus.DONE, 19, 16, 3)
        assert mailboxes(world) == 17
        rejected = rejected_rows(world.app, admin, uid)
    assert rejected.count("\n") == 4
    assert "user0003@example.com" in rejected
    assert "user0001@example.com" in rejected


@pytest.mark.parametrize("commits", [1, 2, 3, 4])
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

    world.app.policy.edit(world.alice, {"password_min_length": len(long)})
    row = next(o for o in world.app.queries.operators(world.alice) if o["username"] == "dom")
    world.app.provisioner.edit_operator(world.alice, row["uid"], domains=["example.com"])
    with taken_for_dead():
        assert run_next_import(world.app, chunk=5) is True
        job = import_job(world.app, dom, uid)
        assert (job.status, job.done, job.created + job.refused) == (JobStatus.DONE, 16, 16)
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
    world.app.provisioner.edit_operator(world.alice, row["uid"], enabled=False)
    with taken_for_dead():
        run_next_import(world.app, chunk=5)
        job = import_job(world.app, admin, uid)
        assert (job.status, job.refused) == (JobStatus.FAILED, 13)
        assert rejected_rows(world.app, admin, uid).count("may not sign in any more") == 12
    assert mailboxes(world) == made == 5


CHILD = """
import sys
from pathlib import Path
from provision.transfer import import_jobs
from provision.app import open_postroom
from provision.settings.config import Settings
app = open_postroom(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2]), migrate=False)
print("ready", flush=True)
import_jobs.run_next_import(app, chunk=20)
"""


@pytest.mark.both_databases
@pytest.mark.slow
def test_killed_for_real(world: World, admin: Actor) -> None:
    """`kill -9` at a random moment, taken up again by another process until it is done."""
    uid = start_import(
        world.app, admin, (HEADER.replace("_hash", "") + "".join(f"{a},Correct-Horse-1,\n" for a in many(300))).encode()
    )
    settings = world.app.settings
    kills = 0
    while import_job(world.app, admin, uid).open and kills < 4:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(settings.data_dir), settings.database_url],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "."},
        )
        assert child.stdout
        child.stdout.readline()
        time.sleep(0.3 + 0.35 * kills)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        kills += 1
        with world.app.database.write() as session:  # as if a minute had passed
            session.execute(update(ImportJob).values(heartbeat_at=utc_now() - imports.HEARTBEAT_TIMEOUT * 2))
    app = open_postroom(settings, migrate=False)
    run_next_import(app, chunk=20)
    app.close()
    job = import_job(world.app, admin, uid)
    assert (job.status, job.created, job.refused) == (JobStatus.DONE, 300, 0)
    assert mailboxes(world) == 300
    with world.app.database.read() as session:
        intents = select(func.count()).where(
            ProvisionLog.operation == "mailbox.create", ProvisionLog.resource_name.like("user%")
        )
        assert session.scalar(intents) == 300


@contextmanager
def under_way(world: World, admin: Actor, rows: int) -> Iterator[UUID]:
    """An import of so many rows by a thread, in small chunks, some of which are done; at the end it is over."""
    uid = start_import(world.app, admin, table(*many(rows)))
    with ThreadPoolExecutor(1) as pool:
        over = pool.submit(run_next_import, world.app, chunk=5)
        wait_for(lambda: import_job(world.app, admin, uid).done)
        yield uid
        assert over.result() is True


@pytest.mark.both_databases
def test_who_lost_their_claim_stops(world: World, admin: Actor) -> None:
    with under_way(world, admin, 300) as uid, world.app.database.write() as session:
        session.execute(update(ImportJob).values(claim="another"))
    job = row_of(world, uid)
    assert (job.status, job.claim) == (JobStatus.RUNNING, "another")
    assert 0 < job.done < 300
    assert mailboxes(world) <= job.done + 5


def test_a_job_that_never_ends_is_given_up(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, table(*many(3)))
    with world.app.database.write() as session:
        session.execute(update(ImportJob).values(claims=imports.MAX_CLAIMS))
    run_next_import(world.app)
    job = import_job(world.app, admin, uid)
    assert (job.status, job.error) == (JobStatus.FAILED, "It was begun 5 times and never came to its end.")


@pytest.mark.both_databases
def test_two_processes_never_run_one_job(world: World, admin: Actor) -> None:
    start_import(world.app, admin, table(*many(3)))
    first, second = imports._claim(world.app), imports._claim(world.app)
    assert first is not None
    assert second is None


# ---- cancel --------------------------------------------------------------------------------


def test_cancelled_before_it_began(world: World, admin: Actor) -> None:
    uid = start_import(world.app, admin, table(*many(3)))
    assert cancel_import(world.app, admin, uid).status == JobStatus.CANCELLED
    assert run_next_import(world.app) is False
    assert row_of(world, uid).sealed_upload is None


@pytest.mark.both_databases
def test_cancelled_in_the_middle(world: World, admin: Actor) -> None:
    with under_way(world, admin, 300) as uid:
        assert cancel_import(world.app, admin, uid).cancelling
    job = import_job(world.app, admin, uid)
    assert job.status == JobStatus.CANCELLED
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
    run_next_import(world.app)
    done = row_of(world, uid)
    assert done.sealed_upload is None
    assert done.sealed_rejected
    assert password not in done.sealed_rejected
    assert password in rejected_rows(world.app, admin, uid)
    with time_machine.travel(utc_now() + KEPT + timedelta(minutes=1), tick=True):
        with pytest.raises(NotFound):
            rejected_rows(world.app, admin, uid)
        run_next_import(world.app)
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
    run_next_import(world.app)
    job = import_job(world.app, dom, uid)
    assert (job.status, job.created, job.refused) == (JobStatus.DONE, 2, 1)
    assert "not yours" in rejected_rows(world.app, dom, uid)


@pytest.mark.parametrize("change", [{"enabled": False}, {"role": Role.VIEWER}])
def test_rights_are_those_of_the_moment_it_runs(world: World, admin: Actor, change: dict[str, object]) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, dom, table("a@example.com"))
    row = next(o for o in world.app.queries.operators(world.alice) if o["username"] == "dom")
    world.app.provisioner.edit_operator(world.alice, row["uid"], **change)  # type: ignore[arg-type]
    run_next_import(world.app)
    job = import_job(world.app, world.alice, uid)
    assert job.status == JobStatus.FAILED
    assert job.error
    assert mailboxes(world) == 0


def test_only_its_owner_and_a_super_admin_see_it(world: World, admin: Actor) -> None:
    dom = operator(world, "dom", Role.DOMAIN_ADMIN, ("example.com",))
    eve = operator(world, "eve", Role.DOMAIN_ADMIN, ("example.com",))
    uid = start_import(world.app, dom, table("a@example.com", "b@nowhere.example"))
    run_next_import(world.app)
    assert import_job(world.app, admin, uid).operator == "dom"
    assert [job.uid for job in import_jobs(world.app, dom)] == [uid]
    assert import_jobs(world.app, eve) == []
    for forbidden in (import_job, cancel_import, dismiss_import, rejected_rows):
        with pytest.raises(NotFound):
            forbidden(world.app, eve, uid)  # type: ignore[operator]
    dismiss_import(world.app, dom, uid)
    assert import_jobs(world.app, dom) == []
