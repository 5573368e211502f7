"""How much an import of 10,000 plain passwords costs beyond the hashing itself, on SQLite and PostgreSQL.

The CPU columns count this process only; on a machine that is busy with other things their ratio is the one to trust.

python -m tests.bench.csv_import [rows]
"""

import sys
import time

from provision.app import Postroom, calm_collector
from provision.core.passwords import hash_passwords
from provision.core.secret import Secret
from provision.transfer.csv_io import import_csv
from tests.bench.world import ADMIN, KINDS, few, products, table

ROWS = 10_000
Seconds = tuple[float, float]  # by the clock, and of CPU


def now() -> Seconds:
    return time.perf_counter(), time.process_time()


def since(started: Seconds) -> Seconds:
    wall, cpu = now()
    return wall - started[0], cpu - started[1]


def sheet(rows: int) -> bytes:
    lines = [f"user{n}@example.com,Correct-Horse-{n},User {n},1024,,true" for n in range(rows)]
    return "\n".join(["email,password,display_name,quota_mb,aliases,enabled", *lines]).encode()


def seconds_of_hashing(rows: int) -> Seconds:
    started = now()
    list(hash_passwords([Secret(f"Correct-Horse-{n}") for n in range(rows)]))
    return since(started)


def seconds_of_import(app: Postroom, rows: int) -> Seconds:
    """From the bytes of the file to every mailbox SYNCED on a docker-mailserver's config volume."""
    app.services.domains.create(ADMIN, "example.com", "main")
    data = sheet(rows)
    started = now()
    result = import_csv(app, ADMIN, data)
    seconds = since(started)
    assert len(result.created) == rows
    assert app.queries.counts(ADMIN)["mailbox.SYNCED"] == rows
    return seconds


def main(rows: int) -> None:
    calm_collector()  # as the command line and the web process do
    found = []
    with products() as make:
        for kind in KINDS:
            before = seconds_of_hashing(rows)
            whole = seconds_of_import(make(kind), rows)
            after = seconds_of_hashing(rows)  # around it, for the load of others changes
            hashing, cpu = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
            figures = [f"{hashing:.1f} s", f"{whole[0]:.1f} s", f"{whole[0] / hashing:.2f}"]
            of_cpu = [f"{cpu:.1f} s", f"{whole[1]:.1f} s", f"{whole[1] / cpu:.2f}"]
            found.append([kind, *figures, *of_cpu, "≤ 1.2"])
    head = [
        "database",
        "hashing alone",
        "whole import",
        "ratio",
        "CPU of hashing",
        "CPU of the import",
        "ratio",
        "target",
    ]
    table(f"{rows:,} rows with readable passwords", head, found)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(numbers[0] if numbers else few(ROWS))
