"""Processes of their own that do long work, and `kill -9` for one that has some in hand.

Run as a program it is such a process. A lease lasts a second there, and no task is given up for being killed often.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import select, text

from provision.app import Postroom, open_postroom
from provision.jobs import scheduled_tasks
from provision.jobs.loop import Jobs
from provision.settings.config import Settings
from provision.storage import tasks
from provision.storage.models import ScheduledTask, TaskStatus
from provision.storage.tasks import Step, record
from provision.transfer import import_jobs

ROOT = Path(__file__).resolve().parents[2]
LEASE = timedelta(seconds=1)
CHUNK = 10
COUNTING = "test.count"


# ---- the process ---------------------------------------------------------------------------


def count_on(app: Postroom, task: ScheduledTask) -> Step:
    """Each step is noted in a table that takes it twice, too."""
    for number in range(task.done, task.total):
        sum(range(100_000))  # some milliseconds
        with app.database.write() as session:
            values = {"subject": task.subject.hex, "number": number}
            session.execute(text("INSERT INTO counted (subject, number) VALUES (:subject, :number)"), values)
            record(session, task, Step(done=number + 1))
    return Step(TaskStatus.DONE, task.total)


def main(database_url: str, data_dir: str) -> None:
    numbers = count()
    vars(scheduled_tasks).update(LEASE=LEASE, uuid4=lambda: SimpleNamespace(hex=f"{os.getpid()}.{next(numbers)}"))
    vars(tasks).update(LEASE=LEASE)
    vars(import_jobs).update(CHUNK=CHUNK)
    kinds = {**scheduled_tasks.KINDS, COUNTING: scheduled_tasks.Kind(count_on)}
    scheduled_tasks.KINDS.update({name: replace(kind, max_attempts=1_000) for name, kind in kinds.items()})
    app = open_postroom(Settings(data_dir=Path(data_dir), database_url=database_url), migrate=False)
    jobs = Jobs(app, tick_seconds=0.05)
    jobs._repeat(jobs.run_tasks)


# ---- who kills it --------------------------------------------------------------------------


class Crew:
    """Several such processes; one that was killed is followed by another."""

    def __init__(self, app: Postroom, size: int) -> None:
        self.app = app
        self.moments = random.Random(1)
        self.processes = [self._start() for _ in range(size)]

    def _start(self) -> subprocess.Popen[bytes]:
        settings = self.app.settings
        arguments = (settings.url, str(settings.data_dir))
        return subprocess.Popen([sys.executable, "-m", "tests.sync.workers", *arguments], cwd=ROOT)

    def kill_at_work(self, kills: int, start_more: Callable[[], None]) -> None:
        """So many, each while it has a task in hand; `start_more` sees to it that there is work."""
        while kills:
            start_more()
            place = self.moments.randrange(len(self.processes))
            if self._killed_at_work(self.processes[place]):
                self.processes[place] = self._start()
                kills -= 1

    def _killed_at_work(self, process: subprocess.Popen[bytes]) -> bool:
        time.sleep(self.moments.uniform(0, 0.1))
        process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it has ended by itself"
        if not self._has_work(process):
            process.send_signal(signal.SIGCONT)
            return False
        self._end(process)
        return True

    def _has_work(self, process: subprocess.Popen[bytes]) -> bool:
        held = ScheduledTask.owner.startswith(f"{process.pid}.")
        with self.app.database.read() as session:
            return session.scalar(select(ScheduledTask.id).where(held).limit(1)) is not None

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def end(self) -> None:
        for process in self.processes:
            self._end(process)


@contextmanager
def workers(app: Postroom, size: int = 3) -> Iterator[Crew]:
    crew = Crew(app, size)
    try:
        yield crew
    finally:
        crew.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
