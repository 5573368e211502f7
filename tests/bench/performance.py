"""Run every bench one after the other and write docs/performance.md anew: `python -m tests.bench.performance`.

With --quick everything is tried with few rows, and the document goes to the screen. Parts may be named to run only
those, also to the screen. A part that does not run here is told with its reason, and the exit code is 1. The document
is written after each part, the long ones last, so a run that is broken off leaves what it has measured.
"""

import argparse
import os
import platform
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provision.storage.database import ROOT
from tests.postgres import programs

DOCUMENT = ROOT / "docs" / "performance.md"
HEAD = """# Performance

Measured by one command, `.venv/bin/python -m tests.bench.performance`, which runs the scripts of `tests/bench/` one \
after
the other and writes this file; each can be run alone as `.venv/bin/python -m tests.bench.NAME`. One run each, so
read single figures as ±50 % and compare within a table. p50 and p95 are of 15 to 60 calls. Where the load average at
the start of a part is above 1, somebody else was working, too; its end holds the part's own work. The PostgreSQL is one
of the run's own, on the same machine, without fsync.
"""


@dataclass(frozen=True)
class Part:
    """A bench (its module and what to give it) and what has to be said about it."""

    name: str
    title: str
    words: str

    def run(self, quick: bool) -> tuple[bool, str]:
        """Whether it went well, and its section."""
        before, started = os.getloadavg()[0], time.monotonic()
        module, *arguments = self.name.split()
        command = [sys.executable, "-m", f"tests.bench.{module}", *arguments, *(["--quick"] if quick else [])]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        minutes, after = (time.monotonic() - started) / 60, os.getloadavg()[0]
        shown = ended.stdout.strip()
        if ended.returncode:
            print(ended.stderr, file=sys.stderr)
            why = (
                ended.stderr.rpartition("Skipped: ")[2].strip() if "Skipped: " in ended.stderr else "the bench failed."
            )
            shown += f"\n\nNot measured to the end: {why}"
        load = f"Took {minutes:.1f} minutes; load average {before:.1f} at the start, {after:.1f} at the end."
        said = "\n\n".join(textwrap.fill(words, 120) for words in (self.words, load))
        title = f"## {self.title} (`tests.bench.{self.name}`)"
        return not ended.returncode, f"{title}\n\n{said}\n\n{shown.strip()}\n"


PARTS = (
    Part("core", "Push, preview, one change, queries", "dms_files, on a folder; hashes given."),
    Part(
        "csv_import",
        "CSV import, end to end",
        "Hashing runs on all cores while the rows before are written. Hashing alone is measured before and after. "
        "The CPU columns are of the importing process; on a machine that is busy with other things their ratio is the "
        "one to trust.",
    ),
    Part("pages", "Pages", "Websocket message → script finished, with real widget states, on SQLite."),
    Part(
        "api",
        "REST API",
        "Over HTTP on this machine, client and server in one process: both sides share the cores. "
        "PostgreSQL, with a round trip for each of the 6 statements of a list and the 35 of a create, feels load most.",
    ),
    Part(
        "dms_exec",
        "docker exec",
        "Against a container of the test rig, beside the naive loop of `setup` calls in the same run. The naive "
        "figures of 1,000 and more are scaled up from 20 to 100 calls.",
    ),
    Part(
        "scale mailboxes",
        "How it grows: mailboxes",
        "The last column is the growth over the last step of sizes: above that of the size itself is worse than "
        "linear. Small figures hold a fixed cost, so they grow less. Queries are medians. The start of a process takes "
        "in the imports of Python; of an import, 50,000 rows is the most that a file may have.",
    ),
    Part(
        "scale log",
        "How it grows: the log",
        "The same for records. The first page of the whole log counts it, which is where its time goes.",
    ),
)


def machine() -> str:
    lines = [
        f"- {os.cpu_count()} cores, {_memory_gb():.0f} GB of memory, {platform.system()} {platform.machine()}",
        f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {_postgres_version()}",
        f"- {time.strftime('%Y-%m-%d', time.gmtime())}",
    ]
    return "\n".join(lines)


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _postgres_version() -> str:
    folder = programs()
    if folder is None:
        return "no PostgreSQL"
    words = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True).stdout.split()
    return f"PostgreSQL {words[2]}"


def sections(parts: Sequence[Part], quick: bool) -> Iterator[tuple[bool, str]]:
    for part in parts:
        print(f"{time.strftime('%H:%M:%S')} {part.name} …", file=sys.stderr, flush=True)
        yield part.run(quick)


def document(parts: Sequence[Part], measured: Sequence[str], minutes: float) -> str:
    missing = ", ".join(part.name for part in parts[len(measured) :])
    whole = f"- {minutes:.0f} minutes in all" + (f"; broken off before: {missing}" if missing else "")
    return "\n".join([HEAD, f"{machine()}\n{whole}\n", *measured])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "only", nargs="*", choices=[*(part.name for part in PARTS), []], help="which; all if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    given = parser.parse_args()
    started = time.monotonic()
    parts = [part for part in PARTS if not given.only or part.name in given.only]
    ended: list[tuple[bool, str]] = []
    for section in sections(parts, given.quick):
        ended.append(section)
        text = document(parts, [words for _, words in ended], (time.monotonic() - started) / 60)
        if not (given.quick or given.only):
            DOCUMENT.write_text(text)
    if given.quick or given.only:
        print(text)
    return 0 if all(good for good, _ in ended) else 1


if __name__ == "__main__":
    sys.exit(main())
