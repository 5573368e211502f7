"""Streams hold no connection while nobody reads, and are the whole list once; what the database is short of is told."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from provision.core.access import Actor
from provision.queries import LogFilter, MailboxFilter
from provision.queries.lists import PART
from provision.storage.database import Database
from provision.storage.trouble import DatabaseUnavailable
from tests.bench.logrows import fill_log
from tests.bench.world import fill
from tests.conftest import World

SYSTEM = Actor.system("test")
MORE_THAN_THE_POOL = 40


@pytest.mark.both_databases
def test_readers_that_stop_keep_nobody_else_from_the_database(world: World) -> None:
    fill(world.app, 2500, 300, synced=True, domains=3)
    fill_log(world.app, 2500)
    read = world.app.queries
    stalled: list[Iterator[Mapping[str, Any]]] = []
    for _ in range(MORE_THAN_THE_POOL // 2):
        stalled += [read.each_mailbox(SYSTEM), read.each_log(SYSTEM)]
    for reader in stalled:
        next(reader)
    assert read.mailboxes(SYSTEM).total == 2500
    world.add("anna@example.com")


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "where", [MailboxFilter(), MailboxFilter(domain="corp01.example"), MailboxFilter("anna")], ids=str
)
def test_a_stream_of_mailboxes_is_the_whole_list_by_address(world: World, where: MailboxFilter) -> None:
    fill(world.app, 2 * PART, 50, synced=True, domains=2)
    streamed = [row["address"] for row in world.app.queries.each_mailbox(SYSTEM, where)]
    first, *rest = (world.app.queries.mailboxes(SYSTEM, where, number=n, size=1000) for n in (1, 2, 3))
    listed = [row["address"] for page in (first, *rest[: first.pages - 1]) for row in page.rows]
    assert streamed == listed
    assert len(streamed) > 100


@pytest.mark.both_databases
def test_a_stream_of_the_log_ends_with_what_was_there_when_it_began(world: World) -> None:
    fill_log(world.app, 2500)
    whole = world.app.queries.each_log(SYSTEM)
    first = next(whole)
    world.add("anna@example.com")
    ids = [first["id"], *(row["id"] for row in whole)]
    assert ids == sorted(set(ids))
    assert world.app.queries.logs(SYSTEM).total > len(ids) >= 2500
    some = [row["operation"] for row in world.app.queries.each_log(SYSTEM, LogFilter(operation="alias.create"))]
    assert set(some) == {"alias.create"}


def test_where_all_connections_are_in_use_the_database_is_said_to_be(database_url: str) -> None:
    database = Database(database_url)
    with ExitStack() as taken:

        def take_all() -> None:
            for _ in range(MORE_THAN_THE_POOL):
                taken.enter_context(database.read())

        with pytest.raises(DatabaseUnavailable, match="in use"):
            take_all()
    database.close()
