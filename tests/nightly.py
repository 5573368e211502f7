"""What runs at night only (`scripts/test nightly`), and in its short form every day.

`@pytest.mark.nightly` is for what repeats on another release or database, or in another way, what a daily test shows.
A test of the database itself (SQL, locks, triggers, migrations) carries `both_databases`: it runs on SQLite and on
PostgreSQL every day; all others run on SQLite by day and on both at night.
"""

import os
from collections.abc import Iterator
from typing import TypeVar

import pytest

T = TypeVar("T")
MODE = os.environ.get("POSTROOM_TESTS", "daily")  # as scripts/test was asked: daily, nightly or quick
NIGHTLY = MODE == "nightly"


def by_day(short: T, whole: T) -> T:
    """How much of it: `short` every day, `whole` at night."""
    return whole if NIGHTLY else short


def left_for_the_night(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """What the daily run leaves out, and the quick one."""
    for item in items:
        both = MODE != "quick" and item.get_closest_marker("both_databases")
        if item.get_closest_marker("nightly") or (_on_postgresql(item) and not both):
            yield item


def _on_postgresql(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("database_url") == "postgresql"
