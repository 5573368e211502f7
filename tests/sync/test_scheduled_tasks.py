"""Long work: one process has a task, a step is one transaction, a kill at any moment loses and doubles nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import time_machine
from sqlalchemy import Connection, event, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provision.app import Postroom
from provision.core.errors import Conflict
from provision.jobs.scheduled_tasks import BACKOFF_SECONDS, KINDS, Kind, claim, pause, run_next_task
from provision.storage.models import IdempotencyKey, ScheduledTask, TaskStatus, utc_now
from provision.storage.tasks import LEASE, LostLease, Step, cancel, record, reschedule, schedule
from tests.nightly import by_day
from tests.sync.workers import COUNTING, workers
from tests.waiting import wait_for

pytestmark = pytest.mark.both_databases

KIND = "test"
KILLS = by_day(4, 50)
NOW = datetime(2031, 5, 4, 12, tzinfo=UTC)
Handler = Callable[[Postroom, ScheduledTask], Step]
DONE = Step(TaskStatus.DONE)


class Clock:
    """Stands still, and is moved by hand."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.traveller = traveller

    def on(self, by: timedelta) -> None:
        self.traveller.shift(by)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield Clock(traveller)


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have tasks of KIND done by this."""

    def by(handler: Handler, **more: object) -> None:
        monkeypatch.setitem(KINDS, KIND, Kind(handler, **more))  # type: ignore[arg-type]

    by(lambda app, task: DONE)
    return by


@pytest.fixture
def app(postroom: Postroom, handled: object) -> Postroom:
    return postroom


def planned(app: Postroom, due_at: datetime | None = None, total: int = 0) -> UUID:
    subject = uuid4()
    with app.database.write() as session:
        schedule(session, KIND, subject, due_at=due_at, total=total)
    return subject


def task_of(app: Postroom, subject: UUID) -> ScheduledTask:
    with app.database.read() as session:
        latest = select(ScheduledTask).where(ScheduledTask.subject == subject).order_by(ScheduledTask.id.desc())
        return session.scalars(latest).first() or pytest.fail("there is none")


def claimed(app: Postroom) -> ScheduledTask:
    return claim(app.database) or pytest.fail("nothing was due")


def work(session: Session, key: str) -> None:
    """Something that a step does."""
    session.execute(insert(IdempotencyKey).values(key=key, operation="test", request_digest=""))


def step(app: Postroom, task: ScheduledTask, done: int, error: Exception | None = None) -> None:
    with app.database.write() as session:
        work(session, str(done))
        record(session, task, Step(done=done))
        if error:
            raise error


def worked(app: Postroom) -> int:
    with app.database.read() as session:
        return session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


# ---- who has it ----------------------------------------------------------------------------


def test_one_process_has_it_for_as_long_as_its_lease(app: Postroom, clock: Clock) -> None:
    subject = planned(app)
    first = claimed(app)
    assert (first.subject, first.status, first.attempts) == (subject, TaskStatus.RUNNING, 1)
    clock.on(LEASE)
    assert claim(app.database) is None
    clock.on(timedelta(seconds=1))
    second = claimed(app)
    assert (second.id, second.attempts) == (first.id, 2)
    assert second.owner != first.owner


def test_many_that_look_at_one_moment_get_each_task_once(app: Postroom) -> None:
    subjects = {planned(app) for _ in range(20)}
    together = Barrier(4)

    def take() -> list[UUID]:
        together.wait()
        found = []
        while task := claim(app.database):
            found.append(task.subject)
        return found

    with ThreadPoolExecutor(4) as pool:
        taken = [answer.result() for answer in [pool.submit(take) for _ in range(4)]]
    got = [subject for found in taken for subject in found]
    # Who lost each race of one look goes home early; what is left then is for the next look.
    while task := claim(app.database):
        got.append(task.subject)
    assert sorted(got) == sorted(subjects)


def test_each_step_renews_the_lease(app: Postroom, clock: Clock) -> None:
    planned(app, total=3)
    task = claimed(app)
    for number in range(3):
        clock.on(LEASE - timedelta(seconds=1))
        step(app, task, number + 1)
        assert claim(app.database) is None


def test_who_lost_the_lease_writes_nothing_more(app: Postroom, clock: Clock) -> None:
    subject = planned(app, total=2)
    late = claimed(app)
    clock.on(LEASE + timedelta(seconds=1))
    owner = claimed(app).owner
    with pytest.raises(LostLease):
        step(app, late, 1)
    assert worked(app) == 0
    task = task_of(app, subject)
    assert (task.owner, task.done) == (owner, 0)


def test_a_handler_that_lost_its_lease_ends_quietly(app: Postroom, handled: Callable[..., None], clock: Clock) -> None:
    def slow(app: Postroom, task: ScheduledTask) -> Step:
        clock.on(LEASE + timedelta(seconds=1))
        claimed(app)
        return Step(TaskStatus.DONE, write=lambda session: work(session, "late"))

    handled(slow)
    subject = planned(app)
    assert run_next_task(app) is True
    assert (task_of(app, subject).status, worked(app)) == (TaskStatus.RUNNING, 0)


def test_a_lease_from_before_the_clock_was_put_back_holds_nothing_up(app: Postroom, clock: Clock) -> None:
    planned(app, due_at=NOW - timedelta(days=2))
    claimed(app)
    clock.on(-timedelta(days=1))
    claimed(app)


def test_kinds_of_a_newer_release_are_left_to_it(app: Postroom) -> None:
    with app.database.write() as session:
        schedule(session, "unheard.of", uuid4())
    assert run_next_task(app) is False


# ---- when ----------------------------------------------------------------------------------


def test_it_comes_at_its_date_which_can_be_edited_until_then(app: Postroom, clock: Clock) -> None:
    subject = planned(app, due_at=NOW + timedelta(days=3))
    clock.on(timedelta(days=2))
    assert run_next_task(app) is False
    with app.database.write() as session:
        assert reschedule(session, KIND, subject, NOW + timedelta(days=9)) is True
    clock.on(timedelta(days=2))
    assert run_next_task(app) is False
    with app.database.write() as session:
        assert reschedule(session, KIND, subject, utc_now()) is True
    task = claimed(app)
    with app.database.write() as session:
        assert reschedule(session, KIND, subject, utc_now()) is False  # it has begun
        record(session, task, DONE)
        assert reschedule(session, KIND, subject, utc_now()) is False  # it is over


def test_what_is_due_for_longest_comes_first(app: Postroom, clock: Clock) -> None:
    later, sooner = planned(app, NOW - timedelta(hours=1)), planned(app, NOW - timedelta(hours=2))
    assert [claimed(app).subject, claimed(app).subject] == [sooner, later]


def test_a_step_may_wait_for_days(app: Postroom, handled: Callable[..., None], clock: Clock) -> None:
    def wait(app: Postroom, task: ScheduledTask) -> Step:
        return Step(TaskStatus.WAITING, task.done + 1, due_at=utc_now() + timedelta(days=2))

    handled(wait, max_attempts=1)
    subject = planned(app, total=9)
    for day in range(3):
        assert run_next_task(app) is True
        assert run_next_task(app) is False
        task = task_of(app, subject)
        assert (task.status, task.done, task.attempts) == (TaskStatus.WAITING, day + 1, 0)
        clock.on(timedelta(days=2))


def test_one_is_open_for_a_subject(app: Postroom) -> None:
    subject = planned(app)
    with pytest.raises(IntegrityError), app.database.write() as session:
        schedule(session, KIND, subject)
    with app.database.write() as session:
        schedule(session, "another", subject)
    assert run_next_task(app) is True
    with app.database.write() as session:
        schedule(session, KIND, subject)
    assert task_of(app, subject).status == TaskStatus.WAITING


def test_the_payload_holds_ids(app: Postroom, handled: Callable[..., None]) -> None:
    seen = []
    handled(lambda app, task: seen.append(task.payload) or DONE)
    other = uuid4()
    with app.database.write() as session:
        schedule(session, KIND, uuid4(), server=7, mailbox=other)
    run_next_task(app)
    assert seen == [{"server": 7, "mailbox": str(other)}]


# ---- steps ---------------------------------------------------------------------------------


def test_work_and_progress_are_one_transaction(app: Postroom) -> None:
    subject = planned(app, total=2)
    task = claimed(app)
    step(app, task, 1)
    with pytest.raises(Conflict):
        step(app, task, 2, Conflict("It cannot be committed."))
    assert (task_of(app, subject).done, worked(app)) == (1, 1)


def test_the_last_step_and_its_work_are_one_transaction(app: Postroom, handled: Callable[..., None]) -> None:
    def broken(session: Session) -> None:
        work(session, "broken")
        raise Conflict("It cannot be done.")

    handled(lambda app, task: Step(TaskStatus.DONE, 1, write=broken), max_attempts=1)
    subject = planned(app, total=1)
    run_next_task(app)
    task = task_of(app, subject)
    assert (task.status, task.done, task.error, worked(app)) == (TaskStatus.FAILED, 0, "It cannot be done.", 0)


def test_progress_never_falls_back(app: Postroom) -> None:
    subject = planned(app, total=9)
    task = claimed(app)
    for done, shown in ((4, 4), (2, 4), (7, 7)):
        with app.database.write() as session:
            record(session, task, Step(done=done))
        assert task_of(app, subject).done == shown


def test_it_is_over_once(app: Postroom) -> None:
    planned(app)
    task = claimed(app)
    with app.database.write() as session:
        record(session, task, DONE)
    with pytest.raises(LostLease), app.database.write() as session:
        record(session, task, DONE)


# ---- cancel --------------------------------------------------------------------------------


def cancelled(app: Postroom, subject: UUID) -> bool:
    with app.database.write() as session:
        return cancel(session, KIND, subject)


def test_one_that_waits_is_cancelled_at_once(app: Postroom) -> None:
    subject = planned(app, due_at=utc_now() + timedelta(days=3))
    assert cancelled(app, subject) is True
    assert task_of(app, subject).status == TaskStatus.CANCELLED


def test_one_that_runs_sees_it_after_its_step(app: Postroom) -> None:
    subject = planned(app, total=2)
    task = claimed(app)
    assert cancelled(app, subject) is False
    assert task.cancel_requested is False
    step(app, task, 1)
    assert task.cancel_requested is True
    assert task_of(app, subject).status == TaskStatus.RUNNING


def test_one_whose_process_died_is_cancelled_at_once(app: Postroom, clock: Clock) -> None:
    subject = planned(app)
    task = claimed(app)
    clock.on(LEASE + timedelta(seconds=1))
    assert cancelled(app, subject) is True
    with pytest.raises(LostLease):
        step(app, task, 1)


def test_one_that_fails_while_it_shall_stop_makes_no_pause(
    app: Postroom, handled: Callable[..., None], clock: Clock
) -> None:
    def fail(app: Postroom, task: ScheduledTask) -> Step:
        if task.cancel_requested:
            return Step(TaskStatus.CANCELLED)
        cancelled(app, task.subject)
        raise Conflict("Not now.")

    handled(fail)
    subject = planned(app)
    assert [run_next_task(app), run_next_task(app)] == [True, True]
    assert task_of(app, subject).status == TaskStatus.CANCELLED


def test_what_is_over_stays_as_it_ended(app: Postroom) -> None:
    subject = planned(app)
    run_next_task(app)
    assert cancelled(app, subject) is False
    assert (task_of(app, subject).status, task_of(app, subject).cancel_requested) == (TaskStatus.DONE, False)


# ---- failures ------------------------------------------------------------------------------


def test_a_failure_is_tried_again_after_growing_pauses_and_then_given_up(
    app: Postroom, handled: Callable[..., None], clock: Clock
) -> None:
    def fail(app: Postroom, task: ScheduledTask) -> Step:
        raise Conflict("It is not there yet.")

    handled(fail, max_attempts=3, given_up=lambda session, subject: work(session, str(subject)))
    subject = planned(app)
    for seconds in BACKOFF_SECONDS[:2]:
        assert run_next_task(app) is True
        task = task_of(app, subject)
        assert (task.status, task.error) == (TaskStatus.WAITING, "It is not there yet.")
        assert 0.8 * seconds <= (task.due_at - utc_now()).total_seconds() <= 1.2 * seconds
        assert run_next_task(app) is False
        clock.on(task.due_at - utc_now())
    assert worked(app) == 0
    assert run_next_task(app) is True
    task = task_of(app, subject)
    assert (task.status, task.error, task.attempts, worked(app)) == (TaskStatus.FAILED, "It is not there yet.", 3, 1)
    assert task.finished_at == utc_now()


def test_pauses_of_many_differ() -> None:
    assert len({pause(1) for _ in range(50)}) > 25
    assert pause(99).total_seconds() >= 0.8 * BACKOFF_SECONDS[-1]


def test_a_fault_of_ours_is_told_by_a_number_and_not_by_its_text(app: Postroom, handled: Callable[..., None]) -> None:
    def fail(app: Postroom, task: ScheduledTask) -> Step:
        raise RuntimeError("https://user:password@example.com")

    handled(fail)
    subject = planned(app)
    run_next_task(app)
    error = task_of(app, subject).error or ""
    assert error.startswith("Something went wrong. The log tells more under the number")


def test_one_that_kills_its_process_each_time_is_given_up(app: Postroom, clock: Clock) -> None:
    subject = planned(app)
    for _ in range(KINDS[KIND].max_attempts):
        claimed(app)
        clock.on(LEASE + timedelta(seconds=1))
    assert run_next_task(app) is True
    task = task_of(app, subject)
    assert (task.status, task.error) == (TaskStatus.FAILED, "It was begun 5 times and never came to its end.")


def test_one_that_gets_on_is_not_given_up(app: Postroom, clock: Clock) -> None:
    subject = planned(app, total=20)
    for number in range(10):
        task = claimed(app)
        step(app, task, number + 1)
        clock.on(LEASE + timedelta(seconds=1))
    assert task_of(app, subject).attempts == 0
    run_next_task(app)
    assert task_of(app, subject).status == TaskStatus.DONE


# ---- what it costs, what the table refuses ---------------------------------------------------


def test_a_look_at_nothing_is_one_transaction(app: Postroom) -> None:
    planned(app, due_at=utc_now() + timedelta(days=1))
    begun: list[Connection] = []
    event.listen(app.database.engine, "begin", lambda connection: begun.append(connection))
    assert run_next_task(app) is False
    assert len(begun) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"status": "PAUSED"},
        {"status": TaskStatus.RUNNING},
        {"status": TaskStatus.DONE},
        {"finished_at": NOW},
        {"lease_until": NOW},
    ],
)
def test_the_table_refuses_what_makes_no_sense(app: Postroom, values: dict[str, object]) -> None:
    planned(app)
    with pytest.raises(IntegrityError), app.database.write() as session:
        session.execute(update(ScheduledTask).values(**values))


# ---- kill ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_to_work_in_hand_loses_and_doubles_nothing(app: Postroom) -> None:
    """Three processes; each kill hits one that holds a task at that moment."""
    steps, subjects = 40, list[UUID]()
    with app.database.write() as session:
        session.execute(text("CREATE TABLE counted (subject VARCHAR(32), number INTEGER)"))
    is_open = select(func.count()).where(ScheduledTask.finished_at.is_(None))

    def left() -> int:
        with app.database.read() as session:
            return session.scalar(is_open) or 0

    def start_more() -> None:
        while left() < 6:
            subjects.append(uuid4())
            with app.database.write() as session:
                schedule(session, COUNTING, subjects[-1], total=steps)

    with workers(app) as crew:
        crew.kill_at_work(KILLS, start_more)
        wait_for(lambda: not left(), 120)
    with app.database.read() as session:
        counted = Counter((UUID(s), n) for s, n in session.execute(text("SELECT subject, number FROM counted")))
        ends = session.execute(select(ScheduledTask.status, ScheduledTask.done).distinct()).all()
    assert counted == Counter((subject, number) for subject in subjects for number in range(steps))
    assert [tuple(end) for end in ends] == [(TaskStatus.DONE, steps)]
