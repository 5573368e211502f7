"""Pages are walked to from the nearer end: put together, in any size, they are the whole list once, in order."""

from typing import Any

import pytest

from provision.access import Actor
from provision.bootstrap import Postroom
from provision.models import LogStatus
from provision.queries import LogFilter, Page
from tests.bench.logrows import fill_log
from tests.bench.world import fill
from tests.conftest import World

SIZES = (1, 7, 10, 50)


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
    system = Actor.system("test")
    pages = all_pages(lambda number, size: filled.queries.aliases(system, number=number, size=size, **narrowed), size)
    rows = [(row["mailbox"] or "~", row["address"]) for page in pages for row in page.rows]
    assert rows == sorted(rows)
    assert {page.total for page in pages} == {len(rows)}
    assert len(set(rows)) == len(rows) > 10
    assert {owner == "~" for owner, _ in rows} == {True, False}
    assert len(pages) == -(-len(rows) // size)
    beyond = filled.queries.aliases(system, number=999, size=size, **narrowed)
    assert (beyond.number, beyond.rows) == (len(pages), pages[-1].rows)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "where",
    [LogFilter(), LogFilter(operation="alias.create"), LogFilter(resource_type="mailbox"), LogFilter(status=LogStatus.SUCCESS)],
    ids=str,
)  # fmt: skip
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
