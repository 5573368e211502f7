"""CSV export: no secrets, no formulas, and what comes out goes in again."""

import csv
import io
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.access import Actor
from provision.core.errors import InvalidInput
from provision.queries import LogFilter, MailboxFilter
from provision.storage.models import Status
from provision.transfer import csv_io
from provision.transfer.cells import guard, unguard
from provision.transfer.csv_io import EXPORTED, csv_lines, export_csv, export_log_csv, import_csv
from provision.transfer.csv_reader import read_rows
from tests.conftest import STANDARD, World

HEADER = "email,password,display_name,quota_mb,aliases,enabled\n"


def test_an_export_has_neither_passwords_nor_formulas(world: World) -> None:
    for name, display in (
        ("anna", "=cmd|' /C calc'!A0"),
        ("ben", "+49 30"),
        ("chen", "-"),
        ("dora", "@home"),
        ("emil", "Emil"),
    ):
        world.add(f"{name}@example.com", display_name=display)
    world.app.services.aliases.create(world.alice, "@example.com", ["anna@example.com"])
    text = "".join(export_csv(world.app, world.alice))
    assert "$6$" not in text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == [column.name for column in EXPORTED]
    assert [row["display_name"][:2] for row in rows] == ["'=", "'+", "'-", "'@", "Em"]
    assert rows[0]["aliases"] == "'@example.com"
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


def test_an_export_is_filtered_and_shows_only_what_one_may_see(world: World) -> None:
    world.add("anna@example.com")
    world.add("olga@example.org")
    assert "olga" not in "".join(export_csv(world.app, world.dora))
    assert "anna" not in "".join(export_csv(world.app, world.alice, MailboxFilter(domain="example.org")))


def test_an_alias_that_leads_elsewhere_too_is_no_second_name(world: World) -> None:
    world.add("anna@example.com")
    world.add("ben@example.com")
    create = world.app.services.aliases.create
    anna = world.app.queries.mailbox_by_address(world.alice, "anna@example.com")
    create(world.alice, "own@example.com", ["anna@example.com"])
    create(world.alice, "both@example.com", ["anna@example.com", "ben@example.com"], mailbox_id=anna.uid)
    create(world.alice, "away@example.com", ["elsewhere@example.net"], mailbox_id=anna.uid)
    row = next(csv.DictReader(io.StringIO("".join(export_csv(world.app, world.alice)))))
    assert row["aliases"] == "own@example.com"


def test_an_export_is_imported_again_as_it_was(world: World) -> None:
    world.add("anna@example.com", display_name="=1+1", quota_bytes=(1 << 20) + 1)
    world.add("ben@example.com", display_name="'quoted", enabled=False, quota_bytes=0)
    world.app.services.aliases.create(world.alice, "@example.com", ["anna@example.com"])
    before = "".join(export_csv(world.app, world.alice))
    root = Actor.system("test")
    for row in list(world.app.queries.each_mailbox(root)):
        world.app.services.mailboxes.delete(root, row["uid"], force=True)
    assert "".join(export_csv(world.app, world.alice)) == ",".join(column.name for column in EXPORTED) + "\r\n"
    header, *lines = before.splitlines()
    with_passwords = "\n".join([f"{header},password", *(f"{line},Correct-Horse-1" for line in lines)])
    assert import_csv(world.app, world.alice, with_passwords.encode()).errors == []
    assert "".join(export_csv(world.app, world.alice)) == before


def test_an_export_for_excel_begins_with_its_mark_and_is_read_the_same(world: World) -> None:
    world.add("anna@example.com", display_name="山田太郎")
    plain = "".join(export_csv(world.app, world.alice)).encode()
    assert "".join(export_csv(world.app, world.alice, excel=True)).encode() == b"\xef\xbb\xbf" + plain
    assert b"".join(line.encode() for line in export_log_csv(world.app, world.alice, LogFilter(), excel=True))[:3] == (
        b"\xef\xbb\xbf"
    )


VISIBLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
NAMES = st.text(VISIBLE | st.sampled_from("'=+-@,;\"#"), max_size=40).map(str.strip).filter(str.isprintable)
MAILBOXES = st.fixed_dictionaries(
    {
        "address": st.from_regex(r"[a-z][a-z0-9]{0,10}@example\.com", fullmatch=True),
        "display_name": NAMES,
        "quota_bytes": st.integers(0, 1 << 50),
        "aliases": st.lists(st.sampled_from(["@example.com", "info@example.com", "it@example.org"]), unique=True),
        "status": st.sampled_from([Status.ACTIVE, Status.DISABLED]),
    }
)


@given(st.lists(MAILBOXES, max_size=5))
@settings(deadline=None)
def test_whatever_is_exported_is_read_back_the_same(mailboxes: list[dict[str, Any]]) -> None:
    header, *lines = csv_lines(EXPORTED, mailboxes)
    text = header.replace("\r\n", ",password\r\n") + "".join(
        line.removesuffix("\r\n") + ",Correct-Horse-1\r\n" for line in lines
    )
    sheet = read_rows(text.encode(), STANDARD)
    assert sheet.errors == []
    for new, box in zip(sheet.news, mailboxes, strict=True):
        assert (new.address, new.display_name, new.quota_bytes) == (
            box["address"],
            box["display_name"],
            box["quota_bytes"],
        )
        assert (list(new.aliases), new.enabled) == (box["aliases"], box["status"] == Status.ACTIVE)


@given(st.text())
def test_a_guarded_cell_is_no_formula_and_comes_back(cell: str) -> None:
    assert guard(cell)[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert unguard(guard(cell)) == cell


@given(st.integers(0, 1 << 50))
def test_a_quota_in_mb_is_exact(quota_bytes: int) -> None:
    assert Decimal(csv_io._in_mb(quota_bytes)) * (1 << 20) == quota_bytes


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (HEADER + text).encode(errors="replace")))
def test_no_file_is_a_surprise(data: bytes) -> None:
    try:
        sheet = read_rows(data, STANDARD)
    except InvalidInput:
        return
    assert len(sheet.rows) == len(sheet.news)
