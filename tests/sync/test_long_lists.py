"""Pages are walked to from the nearer end: put together, in any size, they are the whole list once, in order."""

from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from provision.app import Postroom
from provision.core.access import Actor
from provision.queries import LogFilter, Page
from provision.storage.models import LogStatus, Mailbox, utc_now
from tests.bench.logrows import fill_log
from tests.bench.world import fill
from tests.conftest import World

pytestmark = pytest.mark.both_databases

SIZES = (1, 7, 10, 50)
SYSTEM = Actor.system("test")


def all_pages(ask: object, size: int) -> list[Page]:
    first: Page = ask(1, size)  # type: ignore[operator]
    return [first, *(ask(number, size) for number in range(2, first.pages + 1))]  # type: ignore[operator]


@pytest.fixture
def filled(world: World) -> Postroom:
    fill(world.app, 30, 43, synced=True, domains=3)
    return world.app


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("narrowed", [{}, {"domain": "corp01.example"}, {"search": "team1"}], ids=str)
def test_aliases_come_by_owner_and_those_without_one_last(
    filled: Postroom, narrowed: dict[str, Any], size: int
) -> None:
    pages = all_pages(lambda number, size: filled.queries.aliases(SYSTEM, number=number, size=size, **narrowed), size)
    rows = [(row["mailbox"] or "~", row["address"]) for page in pages for row in page.rows]
    assert rows == sorted(rows)
    assert {page.total for page in pages} == {len(rows)}
    assert len(set(rows)) == len(rows) > 10
    assert {owner == "~" for owner, _ in rows} == {True, False}
    assert len(pages) == -(-len(rows) // size)
    beyond = filled.queries.aliases(SYSTEM, number=999, size=size, **narrowed)
    assert (beyond.number, beyond.rows) == (len(pages), pages[-1].rows)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sort", ["used", "used_percent", "last_synced_at"])
def test_what_is_not_known_counts_as_the_least(filled: Postroom, sort: str, size: int) -> None:
    with filled.database.write() as session:
        session.execute(update(Mailbox).where(Mailbox.id % 3 == 0).values(used_bytes=None))
        session.execute(update(Mailbox).where(Mailbox.id % 2 == 0).values(last_synced_at=utc_now()))
    column = {"used": "used_bytes"}.get(sort, sort)

    def ask(descending: bool) -> list[tuple[Any, int]]:
        list_of = filled.queries.mailboxes
        pages = all_pages(
            lambda number, size: list_of(SYSTEM, sort=sort, descending=descending, number=number, size=size), size
        )
        return [(row[column], row["id"]) for page in pages for row in page.rows]

    downward = ask(descending=True)
    values = [value for value, _ in downward]
    known = [value for value in values if value is not None]
    assert (len(downward), 0 < len(known) < 30) == (30, True)
    assert values == sorted(known, reverse=True) + [None] * (30 - len(known))
    assert downward == ask(descending=False)[::-1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "where",
    [
        LogFilter(),
        LogFilter(operation="alias.create"),
        LogFilter(resource_type="mailbox"),
        LogFilter(status=LogStatus.SUCCESS),
    ],
    ids=str,
)
def test_the_log_comes_newest_first(world: World, where: LogFilter, size: int) -> None:
    fill_log(world.app, 43)
    whole = [row["id"] for row in world.app.queries.each_log(world.alice, where)]
    pages = all_pages(lambda number, size: world.app.queries.logs(world.alice, where, number=number, size=size), size)
    assert [row["id"] for page in pages for row in page.rows] == whole[::-1]
    assert {page.total for page in pages} == {len(whole)}
    assert len(whole) >= 6


def test_the_log_of_the_benches_is_a_whole_chain(world: World) -> None:
    fill_log(world.app, 50)
    report = world.app.queries.verify_audit(world.alice)
    assert (report.intact, report.links > 100) == (True, True)


def test_operations_are_counted_by_whole_days_of_utc(world: World) -> None:
    """Also where PostgreSQL's own time zone is another one."""
    database = world.app.database
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {database.url.database} SET timezone = 'Asia/Tokyo'")
        database.engine.dispose()
    for hour in ("2030-03-01T23:30", "2030-03-02T00:30", "2030-03-02T23:30", "2030-03-04T11:00"):
        with time_machine.travel(f"{hour}:00+00:00", tick=False):
            world.app.services.domains.edit(world.alice, world.com.uid, description=hour)
    with time_machine.travel("2030-03-04T12:00:00+00:00", tick=False):
        days = world.app.queries.operations_per_day(world.alice, days=3)
    assert [(str(row["day"]), row["operations"]) for row in days] == [("2030-03-02", 2), ("2030-03-04", 1)]
