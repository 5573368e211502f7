"""How much an import of 10,000 plain passwords costs beyond the hashing itself, on SQLite and PostgreSQL.

The CPU columns count this process only; on a machine that is busy with other things their ratio is the one to trust.

Run: PYTHONPATH=. python tests/bench/csv_import.py [rows]
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from provision.access import Actor
from provision.bootstrap import calm_collector, open_postroom
from provision.config import Settings
from provision.csvfile import import_csv
from provision.passwords import hash_passwords
from provision.secret import Secret
from tests.postgres import start_postgres

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


def seconds_of_import(url: str, folder: Path, rows: int) -> Seconds:
    """From the bytes of the file to every mailbox SYNCED on a docker-mailserver's config volume."""
    volume = folder / "config"
    volume.mkdir(parents=True)
    app = open_postroom(Settings(data_dir=folder / "data", database_url=url))
    actor = Actor.system("bench")
    app.provisioner.create_server(actor, "main", "dms_files", {"path": str(volume)}, quiet_seconds=0)
    app.provisioner.create_domain(actor, "example.com", "main")
    data = sheet(rows)
    started = now()
    result = import_csv(app, actor, data)
    seconds = since(started)
    assert len(result.created) == rows
    assert app.queries.counts(actor)["mailbox.SYNCED"] == rows
    app.close()
    return seconds


def main() -> None:
    calm_collector()  # as the command line and the web process do
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(f"{rows:,} rows with plain passwords, {os.cpu_count()} cores\n")
    print(f"{'database':12}{'hashing alone':>15}{'whole import':>15}{'ratio':>8}{'CPU':>10}{'CPU':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = start_postgres()
        try:
            for label, url in (("SQLite", f"sqlite:///{folder}/bench.db"), ("PostgreSQL", postgres.url("postgres"))):
                before = seconds_of_hashing(rows)
                whole = seconds_of_import(url, folder / label, rows)
                after = seconds_of_hashing(rows)  # around it, for the load of others changes
                hashing, cpu = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
                print(
                    f"{label:12}{hashing:13.2f} s{whole[0]:13.2f} s{whole[0] / hashing:8.2f}"
                    f"{cpu:8.2f} s{whole[1]:8.2f} s{whole[1] / cpu:8.2f}"
                )
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
