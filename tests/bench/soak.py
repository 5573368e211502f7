"""An hour's worth of mixed changes in a few minutes, on SQLite: `python -m tests.bench.soak`.

The mail server goes away and comes back, people append accounts by hand, and the one process is killed 20 times;
afterwards everything must be as everybody remembers it.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.endure import ByHand, Fleet, Person, Reckoning, fleet, people, reckon, watching
from tests.bench.world import products, table, volume
from tests.waiting import comes_true

NAME = "web"
AWAY_SECONDS = 3


def run(made: Fleet, kills: int) -> tuple[list[Person], ByHand, int]:
    """Until it was killed so often; how often the mail server was away."""
    choose = random.Random(1)
    hand, away = ByHand(volume(made.app)), 0
    crowd, go_home = people(made, number=6, pause_seconds=0.02)
    for number in range(kills):
        comes_true(lambda: made.up() == [NAME], 60)
        time.sleep(choose.uniform(0.5, 3))
        hand.add()
        if number % 3 == 0:
            go_away(hand.folder)
            away += 1
        made.kill(NAME)
    go_home()
    return crowd, hand, away


def go_away(folder: Path) -> None:
    """As a volume that is unmounted for a while."""
    elsewhere = folder.with_name("away")
    folder.rename(elsewhere)
    time.sleep(AWAY_SECONDS)
    elsewhere.rename(folder)


def show(
    made: Fleet, crowd: list[Person], hand: ByHand, found: Reckoning, away: int, seconds: float, alarms: int
) -> None:
    counts = {name: sum(person.counts[name] for person in crowd) for name in ("changes", "not answered")}
    rows = [
        ["under load", f"{seconds:.0f} s, 6 people"],
        ["changes answered", f"{counts['changes']:,}"],
        ["calls that a kill cut off, made again", str(counts["not answered"])],
        ["kill -9 of the process", str(len(made.kills))],
        [f"mail server away for {AWAY_SECONDS} s", str(away)],
        ["alarms (deletions above 30 %) that a person answered", str(alarms)],
        ["accounts added by hand meanwhile", str(len(hand.addresses))],
        ["writes to the mail server", str(found.writes)],
        ["lost", str(len(found.lost))],
        ["there that should not be", str(len(found.too_many))],
        ["not delivered in the end", str(found.not_synced)],
        ["until all was delivered after the last change", f"{found.drained_seconds:.1f} s"],
        ["audit chain", "intact" if found.chain_intact else "BROKEN"],
    ]
    table("One process on SQLite, killed again and again", ["what", "figure"], rows)
    for name in found.lost[:10] + found.too_many[:10]:
        print(name, file=sys.stderr)


def main(kills: int) -> int:
    with products() as make, tempfile.TemporaryDirectory() as folder:
        app = make("sqlite")
        with fleet(app, Path(folder), [NAME]) as made, watching(app) as watcher:
            began = time.monotonic()
            crowd, hand, away = run(made, kills)
            seconds = time.monotonic() - began
            found = reckon(made, crowd, hand)
            show(made, crowd, hand, found, away, seconds, len(watcher.answered))
    return 1 if found.lost or found.too_many or found.not_synced or not found.chain_intact else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    sys.exit(main(parser.parse_args().kills))
