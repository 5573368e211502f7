"""Lists are searched as people write: a domain is found in its own script, whole or without its end."""

import unicodedata

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


# ---- words and letters ---------------------------------------------------------------------

PEOPLE = {
    "greta": "Greta Hahn",
    "mueller": "Jörg Müller",
    "hanako": "田中　花子",
    "kana": "ﾀﾅｶ ﾊﾅｺ",
    "istanbul": "İpek İstanbul",
    "ali": "علی\u200cرضا",
    "ob": "O´Brien 100%_\\",
    "nfd": unicodedata.normalize("NFD", "Zoé Désirée"),
}


@pytest.fixture
def people(world: World) -> World:
    for local, name in PEOPLE.items():
        world.add(f"{local}@example.com", display_name=name)
    return world


@pytest.mark.parametrize(
    ("search", "local"),
    [
        ("hahn greta", "greta"),
        ("GRETA h", "greta"),
        ("hahn example greta@", "greta"),
        ("müller", "mueller"),
        (unicodedata.normalize("NFD", "MÜLLER"), "mueller"),
        ("ｍüｌｌｅｒ　jörg", "mueller"),
        ("田中", "hanako"),
        ("花子 田中", "hanako"),
        ("田中　花子", "hanako"),
        ("タナカ", "kana"),
        ("ﾊﾅｺ ﾀﾅ", "kana"),
        ("istanbul", "istanbul"),
        ("İSTANBUL i̇pek", "istanbul"),
        ("علیرضا", "ali"),
        ("100%_\\ o´b", "ob"),
        ("désirée zoé", "nfd"),
        ("ｈａｎａｋｏ@", "hanako"),
        ("gr", "greta"),
    ],
)
def test_every_word_is_looked_for_in_whatever_order_and_form(people: World, search: str, local: str) -> None:
    assert found(people, search) == [f"{local}@example.com"]


@pytest.mark.parametrize(
    "search", ["hahn müller", "greta xx", "%%%", "田中 müller", '"hahn" OR', "hahn NOT greta", "hahn*"]
)
def test_where_one_word_is_missing_there_is_nothing(people: World, search: str) -> None:
    assert found(people, search) == []


def test_a_changed_name_is_found_by_the_new_one_only(people: World) -> None:
    row = people.app.queries.mailbox_by_address(people.alice, "greta@example.com")
    people.app.services.mailboxes.edit(people.alice, row.uid, display_name="Greta Ｏtter")
    assert found(people, "otter greta") == ["greta@example.com"]
    assert found(people, "hahn") == []
    people.app.services.mailboxes.delete(people.alice, row.uid, force=True)
    assert found(people, "otter") == []


def test_what_is_typed_in_full_width_finds_aliases_and_records(people: World) -> None:
    queries, alice = people.app.queries, people.alice
    people.app.services.aliases.create(alice, "info@example.com", ["ali@example.com"])
    assert [row["address"] for row in queries.aliases(alice, search="ｉｎｆｏ@").rows] == ["info@example.com"]
    assert queries.logs(alice, LogFilter(search="Ｉｎｆｏ@")).total == 1


def test_a_name_of_letters_that_become_many_is_taken_and_found(world: World) -> None:
    """What an index takes has an end."""
    world.add("long@example.com", display_name=200 * "ﷺ")
    assert found(world, "ﷺ long") == ["long@example.com"]
