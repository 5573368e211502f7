"""Lists are searched as people write: a domain is found in its own script, whole or without its end."""

import pytest

from provision.queries import LogFilter, MailboxFilter
from provision.services.comparing import Found
from provision.storage.models import Mailbox
from tests.conftest import HASH, World

pytestmark = pytest.mark.both_databases

STORED = "anna@xn--mnchen-3ya.example"


@pytest.fixture
def anna(world: World) -> Mailbox:
    for domain in ("münchen.example", "東京.example"):
        world.app.services.domains.create(world.alice, domain, "main")
    world.add("eva@example.com", display_name="Eva aus München")
    world.add("rin@東京.example")
    return world.add("anna@münchen.example")


def found(world: World, search: str) -> list[str]:
    page = world.app.queries.mailboxes(world.alice, MailboxFilter(search=search))
    assert page.total == len(page.rows)
    return [row["address"] for row in page.rows]


@pytest.mark.parametrize("search", ["anna@münchen.example", "@München", "münchen.ex", "a@MÜNCHEN", "xn--mnchen"])
def test_a_mailbox_is_found_by_its_domain(world: World, anna: Mailbox, search: str) -> None:
    assert found(world, search) == [STORED]


def test_names_are_found_beside_domains(world: World, anna: Mailbox) -> None:
    assert found(world, "münchen") == [STORED, "eva@example.com"]
    assert found(world, "東京") == ["rin@xn--1lqs71d.example"]
    assert found(world, "aus mün") == ["eva@example.com"]


def test_aliases_the_log_and_the_comparison_are_searched_alike(world: World, anna: Mailbox) -> None:
    queries, alice = world.app.queries, world.alice
    world.app.services.aliases.create(alice, "info@example.com", [anna.address])
    assert [row["address"] for row in queries.aliases(alice, search="@münchen").rows] == ["info@example.com"]
    assert {row["resource_name"] for row in queries.logs(alice, LogFilter(search="anna@münchen")).rows} == {STORED}
    world.write(world.text() + f"ben@xn--mnchen-3ya.example|{HASH.reveal()}\n")
    compared = world.app.services.sync.compare(alice, world.server.uid, search="@münchen")
    assert {kind: n for kind, n in compared.counts.items() if n} == {Found.UNKNOWN: 1}
