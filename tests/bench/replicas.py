"""Two web processes and a worker on one PostgreSQL, killed at random while people work.

Run by `python -m tests.bench.replicas`.

Shows that every change arrives, that no two processes write to a mail server at once, and that the scheduled import
runs once per interval however many processes there are.
"""

import argparse
import random
import sys
import tempfile
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from provision.queries import LogFilter
from tests.bench.endure import ByHand, Fleet, Person, Reckoning, fleet, people, reckon, watching
from tests.bench.world import ADMIN, products, table, volume

NAMES = ["web-1", "web-2", "worker"]
IMPORT_EVERY = 10  # seconds


def run(made: Fleet, seconds: float, kill_every: float) -> tuple[list[Person], ByHand]:
    choose = random.Random(1)
    hand = ByHand(volume(made.app))
    crowd, go_home = people(made, number=6, pause_seconds=0.05)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(choose.uniform(0.5, 1.5) * kill_every)
        hand.add()
        if up := made.up():
            made.kill(choose.choice(up))
    go_home()
    return crowd, hand


def imports(made: Fleet) -> tuple[int, int]:
    """How often the scheduled import ran, and how often twice for one interval.

    It is claimed at its time and recorded when it begins, a moment later; so half an interval is the measure.
    """
    rows = made.app.queries.logs(ADMIN, LogFilter(operation="sync.pull"), size=1000).rows
    times = sorted(row["started_at"] for row in rows)
    twice = sum(1 for a, b in pairwise(times) if b - a < timedelta(seconds=IMPORT_EVERY / 2))
    return len(times), twice


def show(
    made: Fleet,
    crowd: list[Person],
    hand: ByHand,
    found: Reckoning,
    pulls: tuple[int, int],
    seconds: float,
    alarms: int,
) -> None:
    counts = {name: sum(person.counts[name] for person in crowd) for name in ("changes", "not answered")}
    kills = ", ".join(f"{name} {sum(1 for k in made.kills if k[0] == name)}" for name in NAMES)
    rows = [
        ["under load", f"{seconds:.0f} s, 6 people"],
        ["changes answered", f"{counts['changes']:,}"],
        ["calls that a kill cut off, made again", str(counts["not answered"])],
        ["kill -9", f"{len(made.kills)} ({kills})"],
        ["alarms (deletions above 30 %) that a person answered", str(alarms)],
        ["accounts added by hand meanwhile", str(len(hand.addresses))],
        ["writes to the mail server", str(found.writes)],
        ["writes that overlapped", str(found.overlapping)],
        ["lost", str(len(found.lost))],
        ["there that should not be", str(len(found.too_many))],
        ["not delivered in the end", str(found.not_synced)],
        ["until all was delivered after the last change", f"{found.drained_seconds:.1f} s"],
        [f"scheduled imports (every {IMPORT_EVERY} s)", f"{pulls[0]}, twice in one {pulls[1]}"],
        ["audit chain", "intact" if found.chain_intact else "BROKEN"],
    ]
    table("Two web processes and a worker on PostgreSQL, killed at random", ["what", "figure"], rows)
    for name in found.lost[:10] + found.too_many[:10]:
        print(name, file=sys.stderr)


def main(seconds: float, kill_every: float) -> int:
    with products() as make, tempfile.TemporaryDirectory() as folder:
        app = make("postgresql")
        settings = {"ENABLE_AUTO_IMPORT": "true", "AUTO_IMPORT_INTERVAL": str(IMPORT_EVERY), "POSTROOM_JOBS": "false"}
        with fleet(app, Path(folder), NAMES, **settings) as made, watching(app) as watcher:
            crowd, hand = run(made, seconds, kill_every)
            found = reckon(made, crowd, hand)
            pulls, twice = imports(made)
            show(made, crowd, hand, found, (pulls, twice), seconds, len(watcher.answered))
    bad = found.lost or found.too_many or found.not_synced or found.overlapping or not found.chain_intact
    return 1 if bad or twice or not pulls else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kill-every", type=float, default=5, help="seconds between two kills, on average")
    arguments = parser.parse_args()
    sys.exit(main(arguments.seconds, arguments.kill_every))
