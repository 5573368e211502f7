"""Let every fault happen many times and print what came of it: `python -m tests.bench.reliability [--tries 50]`."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from provision.app import Postroom, open_postroom
from provision.settings.config import Settings
from tests.bench import faults
from tests.bench.world import new_database, table
from tests.postgres import PostgresServer, start_postgres

SLOW = {faults.slow: 5, faults.locked: 2, faults.half_written: 20, faults.emptied: 20}  # tries; they take their time


def product(folder: Path, url: str) -> Postroom:
    (folder / "config").mkdir()
    app = open_postroom(
        Settings(
            data_dir=folder / "data", database_url=url, max_attempts=100, retry_base_seconds=0.05, retry_cap_seconds=0.5
        )
    )
    settings = {"path": str(folder / "config")}
    app.services.servers.create(faults.ACTOR, "main", "dms_files", settings, quiet_seconds=0)
    return app


def results(server: PostgresServer, tries: int) -> Iterator[tuple[str, faults.Result]]:
    for kind, scenarios in (("SQLite", faults.BOTH + faults.SQLITE_ONLY), ("PostgreSQL", faults.BOTH)):
        for scenario in scenarios:
            with tempfile.TemporaryDirectory(prefix="postroom-fault-") as folder:
                app = product(Path(folder), "" if kind == "SQLite" else new_database(server))
                yield kind, scenario(app, min(tries, SLOW.get(scenario, tries)))
                app.close()
    with tempfile.TemporaryDirectory(prefix="postroom-fault-") as folder:
        app = product(Path(folder), new_database(server))
        yield "PostgreSQL", faults.database_restarted(app, min(tries, 20), server)
        app.close()


def plain(text: str) -> str:
    """Without the names of this run's folders."""
    words = [Path(word).name if word.startswith("/") else word for word in text.split()]
    return " ".join(words).replace("|", "/")


def main(tries: int) -> int:
    server, rows, bad = start_postgres(), [], 0
    try:
        for kind, found in results(server, tries):
            bad += found.lost + found.repeated
            rows.append(
                [
                    found.fault,
                    kind,
                    str(found.tries),
                    str(found.accepted),
                    str(found.lost),
                    str(found.repeated),
                    plain(found.saw),
                ]
            )
            print(".", end="", file=sys.stderr, flush=True)
    finally:
        server.stop()
    table(
        "Faults", ["fault", "database", "tries", "changes accepted", "lost", "repeated", "what the operator saw"], rows
    )
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=50)
    sys.exit(main(parser.parse_args().tries))
