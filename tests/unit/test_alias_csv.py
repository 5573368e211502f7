"""Aliases as CSV: with several destinations out and in again, what is refused, and who may."""

import pytest

from provision.core.access import Actor
from provision.core.errors import AccessDenied, InvalidInput
from provision.transfer.alias_csv import export_aliases, import_aliases
from provision.transfer.csv_reader import Encoding
from tests.batches import note_batches
from tests.conftest import World

SHEET = (
    "alias,destinations,mailbox\n"
    "both@example.com,anna@example.com;ben@example.com,anna@example.com\n"
    '"list@example.com","both@example.com, away@example.net",\n'
    "'@example.com,anna@example.com,\n"
)


@pytest.fixture
def two(world: World) -> World:
    world.add("anna@example.com")
    world.add("ben@example.com")
    return world


def exported(world: World, actor: Actor | None = None) -> str:
    return "".join(export_aliases(world.app, actor or world.alice))


def test_what_is_exported_is_imported_again_as_it_was(two: World) -> None:
    batches = note_batches(two.app)
    assert import_aliases(two.app, two.alice, SHEET.encode()).errors == []
    assert batches == [3]
    before = exported(two)
    assert before.splitlines() == [
        "alias,destinations,mailbox",
        "'@example.com,anna@example.com,anna@example.com",
        "both@example.com,anna@example.com;ben@example.com,anna@example.com",
        "list@example.com,both@example.com;away@example.net,",
    ]
    assert "both@example.com anna@example.com,ben@example.com" in two.text("postfix-virtual.cf")
    uids = [row["uid"] for row in two.app.queries.each_alias(two.alice)]
    two.app.services.aliases.delete_many(two.alice, uids)
    assert exported(two) == "alias,destinations,mailbox\r\n"
    assert len(import_aliases(two.app, two.alice, before.encode()).created) == 3
    assert exported(two) == before
    assert two.app.queries.verify_audit(two.alice).intact


def test_a_dry_run_says_what_is_made_and_makes_nothing(two: World) -> None:
    plan = import_aliases(two.app, two.alice, SHEET.encode(), dry_run=True)
    assert ([new.address for new in plan.accepted][1], list(plan.created)) == ("list@example.com", [])
    records = two.app.queries.logs(two.alice).total
    assert exported(two) == "alias,destinations,mailbox\r\n"
    assert two.app.queries.logs(two.alice).total == records


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_wrong_with_a_row_is_said_and_the_others_are_made(two: World, dry_run: bool) -> None:
    data = (
        "source;goto\n"
        "a@example.com;b@example.com\n"
        "b@example.com;a@example.com\n"
        "anna@example.com;ben@example.com\n"
        "nonsense;ben@example.com\n"
        "c@nowhere.example;ben@example.com\n"
        "d@example.com;\n"
        "a@example.com;ben@example.com\n"
        "e@example.com;ben@example.com;surplus\n"
        "f@example.com;ben@example.com\n"
    )
    result = import_aliases(two.app, two.alice, data.encode(), dry_run=dry_run)
    assert [(error.number, error.code) for error in result.errors] == [
        (3, "ALIAS_LOOP"),
        (4, "DUPLICATE_MAILBOX"),
        (5, "INVALID_EMAIL"),
        (6, "DOMAIN_NOT_FOUND"),
        (7, "NO_DESTINATION"),
        (8, "DUPLICATE_ALIAS"),
        (9, "FIELD_COUNT"),
    ]
    assert [new.address for new in result.accepted] == ["a@example.com", "f@example.com"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"alias\nx@example.com\n", "alias and destinations"),
        (b"alias,address,destinations\n", "each once"),
        (b"", "alias and destinations"),
        (b'alias,destinations\n"x@example.com,y\n', "quotes"),
        (b"alias,destinations\n" + b"x@example.com,y@example.net\n" * 2_001, "more than 2,000 rows"),
        (b"alias,destinations\nx@example.com,\xfc@example.net\n", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(two: World, data: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        import_aliases(two.app, two.alice, data)


def test_another_encoding_is_taken_when_it_is_said(two: World) -> None:
    data = "alias,destinations,Bemerkung\nx@example.com,anna@example.com,für alle\n".encode("cp1252")
    assert len(import_aliases(two.app, two.alice, data, Encoding.CP1252).created) == 1


def test_the_same_call_with_a_key_is_one_import(two: World) -> None:
    data = (SHEET + "nonsense,x@example.net,\n").encode()
    first = import_aliases(two.app, two.alice, data, idempotency_key="k")
    again = import_aliases(two.app, two.alice, data, idempotency_key="k")
    assert (again.created, [error.code for error in again.errors]) == (first.created, ["INVALID_EMAIL"])


def test_each_gets_and_makes_those_of_their_domains_only(two: World) -> None:
    two.add("olga@example.org")
    rows = (
        "X@Example.com,anna@example.com,",
        "x@example.org,anna@example.com,",
        "y@example.com,a@b.net,olga@example.org",
    )
    data = ("alias,destinations,mailbox\n" + "\n".join([*rows, "nonsense,a@b.net,"])).encode()
    result = import_aliases(two.app, two.dora, data)
    assert [new.address for new in result.accepted] == ["X@Example.com"]
    assert [error.code for error in result.errors] == ["INSUFFICIENT_PERMISSION"] * 2 + ["INVALID_EMAIL"]
    assert "not yours" in result.errors[0].message
    two.app.services.aliases.create(two.alice, "y@example.org", ["anna@example.com"])
    assert "example.org" not in exported(two, two.dora)
    with pytest.raises(AccessDenied):
        import_aliases(two.app, two.vera, data)


def test_an_export_for_excel_has_its_mark_and_is_filtered(two: World) -> None:
    import_aliases(two.app, two.alice, SHEET.encode())
    text = "".join(export_aliases(two.app, two.alice, "away", excel=True))
    assert (text[0], text.count("@example.com")) == ("\ufeff", 2)
