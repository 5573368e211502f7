"""CSV import and export: each trap of reading CSV, the dry run, the rejected rows, and the way out and in again."""

import csv
import io
import stat
from pathlib import Path
from typing import Any

import pytest

from provision.core.errors import AccessDenied, InvalidInput
from provision.core.passwords import verify_password
from provision.core.secret import Secret
from provision.storage.models import Status, SyncStatus
from provision.transfer.cells import MB
from provision.transfer.csv_io import import_csv, plan_import, rejected_csv, template, write_secret
from provision.transfer.csv_reader import (
    MAX_BYTES,
    MAX_ROWS,
    Encoding,
    Reading,
    Sheet,
    look,
    read_rows,
    reading_of,
    readings,
    unknown_encoding,
)
from provision.transfer.mapping import COLUMNS, HEADINGS, plain
from tests.batches import note_batches
from tests.conftest import HASH, STANDARD, World

HEADER = "email,password,display_name,quota_mb,aliases,enabled\n"
GOOD = "anna@example.com,Correct-Horse-1,Anna,500,,true\n"


def read(text: str) -> Sheet:
    return read_rows(text.encode(), STANDARD)


def refused(sheet: Sheet) -> list[tuple[int, str, str]]:
    return [(error.number, error.column, error.code) for error in sheet.errors]


def unreadable(data: str | bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_rows(data.encode() if isinstance(data, str) else data, STANDARD)
    assert caught.value.code == "CSV_UNREADABLE"
    return caught.value.message


# ---- the traps -----------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["NA", "null", "NaN", "007", "None", "true", "1e5"])
def test_words_that_mean_nothing_to_others_are_passwords_that_are_too_weak(password: str) -> None:
    sheet = read(HEADER + f"anna@example.com,{password},,,,\n")
    assert refused(sheet) == [(2, "password", "WEAK_PASSWORD")]
    assert f"this one has {len(password)}" in sheet.errors[0].message


@pytest.mark.parametrize(
    "password",
    ["00700700-Aa", "=Sum(A1)x1", "+Plus-Plus1", "-Minus-11", "@At-sign-1", "'=Quote-1a", "a,B;c 1-x", 'Quo"te-11'],
)
def test_a_password_is_kept_to_the_letter(password: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["email", "password"], ["anna@example.com", password]])
    (new,) = read(out.getvalue()).news
    assert new.password
    assert new.password.reveal() == password


def test_a_display_name_is_text_whatever_it_looks_like() -> None:
    names = [
        new.display_name
        for new in read(
            HEADER
            + "".join(f"u{i}@example.com,Correct-Horse-1,{n},,,\n" for i, n in enumerate(["NA", "007", "null", "1.0"]))
        ).news
    ]
    assert names == ["NA", "007", "null", "1.0"]


def test_a_gap_in_the_quotas_makes_no_fractions_of_the_others() -> None:
    rows = (
        "a@example.com,Correct-Horse-1,,500,,\nb@example.com,Correct-Horse-1,,,,\nc@example.com,Correct-Horse-1,,0,,\n"
    )
    assert [new.quota_bytes for new in read(HEADER + rows).news] == [500 << 20, None, 0]


def test_a_first_row_with_a_field_too_many_shifts_nothing() -> None:
    sheet = read(HEADER + "anna@example.com,Correct-Horse-1,Anna,500,,true,surplus\n" + GOOD.replace("anna", "ben"))
    assert refused(sheet) == [(2, "", "FIELD_COUNT")]
    assert [new.address for new in sheet.news] == ["ben@example.com"]


def test_a_row_with_a_field_too_few_is_refused() -> None:
    assert refused(read(HEADER + "anna@example.com,Correct-Horse-1\n")) == [(2, "", "FIELD_COUNT")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_it_reads_unicode_files(encoding: str) -> None:
    (new,) = read_rows((HEADER + "anna@example.com,Correct-Horse-1,Jürgen Ł 田中,,,\n").encode(encoding), STANDARD).news
    assert new.display_name == "Jürgen Ł 田中"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ((HEADER + GOOD).encode("utf-32"), "UTF-8"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"PK\x03\x04rest of a workbook", "spreadsheet"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", "not in UTF-8; save it"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "NUL"),
        ((HEADER + GOOD + "b\0n@example.com,x,,,,\n").encode(), "Row 3"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"email,password,colour\n", "colour"),
        (b"email,password,\n", "(without a name)"),
        (b"email,password,email\n", "twice"),
        (b"email,display_name\n", "password_hash"),
        (b"password\n", "email"),
        (b"anna@example.com,Correct-Horse-1\n", "not known"),
        ((HEADER + 'anna@example.com,"Correct-Horse-1,,,,\n').encode(), "quotes"),
        ((HEADER + 'anna@example.com,"Correct"-Horse-1,,,,\n').encode(), "quotes"),
        ((HEADER + "x" * 200_000).encode(), "quotes do not add up (field larger"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(data: bytes, word: str) -> None:
    assert word in unreadable(data)


def test_a_file_is_neither_too_large_nor_too_long() -> None:
    assert len(read(HEADER + "x\n" * MAX_ROWS).errors) == MAX_ROWS
    assert "more than 50,000 rows" in unreadable(HEADER + "x\n" * (MAX_ROWS + 1))
    assert "larger" in unreadable(b"x" * (MAX_BYTES + 1))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_the_header_says_what_divides_the_columns(mark: str) -> None:
    (new,) = read(
        mark.join(["email", "password", "aliases"])
        + "\n"
        + mark.join(["anna@example.com", "Correct-Horse-1", '"info@example.com;it@example.com"'])
        + "\n"
    ).news
    assert new.aliases == ("info@example.com", "it@example.com")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_rows_are_numbered_by_their_line_in_the_file(ending: str) -> None:
    text = (HEADER + '"a@example.com","Correct-Horse-1","two\nlines",,,\n\n,,,,,\nb@example.com,weak,,,,\n').replace(
        "\n", ending
    )
    sheet = read(text)
    assert refused(sheet) == [(2, "display_name", "INVALID_NAME"), (6, "password", "WEAK_PASSWORD")]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("anna,Correct-Horse-1,,,,", "email"),
        ("anna|x@example.com,Correct-Horse-1,,,,", "email"),
        ("anna@example.com,,,,,", "password"),
        ("anna@example.com, Correct-Horse-1,,,,", "password"),
        ("anna@example.com,Correct-Horse-1,,much,,", "quota_mb"),
        ("anna@example.com,Correct-Horse-1,,-1,,", "quota_mb"),
        ("anna@example.com,Correct-Horse-1,,1e3,,", "quota_mb"),
        ("anna@example.com,Correct-Horse-1,,٣,,", "quota_mb"),
        ("anna@example.com,Correct-Horse-1,,0.0000001,,", "quota_mb"),
        ("anna@example.com,Correct-Horse-1,,9999999999,,", "quota_mb"),
        ("anna@example.com,Correct-Horse-1,,,info,", "aliases"),
        ("anna@example.com,Correct-Horse-1,,,,perhaps", "enabled"),
        (f"anna@example.com,Correct-Horse-1,{'x' * 201},,,", "display_name"),
    ],
)
def test_the_row_and_column_are_named(row: str, column: str) -> None:
    sheet = read(HEADER + row + "\n")
    assert [(error.number, error.column) for error in sheet.errors] == [(2, column)]
    assert str(sheet.errors[0]).startswith(f"row 2, {column}: ")
    assert "Correct-Horse-1" not in str(sheet.errors[0]) + repr(sheet.errors)


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    sheet = read(HEADER + "anna,weak,,much,,perhaps\n")
    assert [error.column for error in sheet.errors] == ["email", "password", "quota_mb", "enabled"]


def test_a_row_has_a_password_or_a_hash() -> None:
    header = "email,password,password_hash\n"
    sheet = read(
        f"{header}a@example.com,Correct-Horse-1,{HASH.reveal()}\nb@example.com,,{HASH.reveal()}\nc@example.com,,{{PLAIN}}x\n"
    )
    assert refused(sheet) == [(2, "password", "PASSWORD_NEEDED"), (4, "password_hash", "INVALID_INPUT")]
    assert [new.address for new in sheet.news] == ["b@example.com"]


def test_nothing_shows_a_password() -> None:
    assert "Correct-Horse-1" not in repr(read(HEADER + GOOD + "x,Correct-Horse-1,,,,\n"))


def test_the_template_can_be_imported() -> None:
    sheet = read(template())
    assert (sheet.columns, len(sheet.news), sheet.errors) == (COLUMNS, 1, [])


# ---- as people have it ---------------------------------------------------------------------


@pytest.mark.parametrize("before", ["sep=;\n", "\n\n", ";;;;;\r\n", "\r\nSEP=;\r\n\r\n", '"sep=;";;\n', "  \n"])
def test_what_stands_before_the_header_is_no_header_and_counts_as_lines(before: str) -> None:
    sheet = read(before + (HEADER + "x,weak,,,,\n" + GOOD).replace(",", ";"))
    lines = len(before.splitlines())
    assert refused(sheet) == [(lines + 2, "email", "INVALID_EMAIL"), (lines + 2, "password", "WEAK_PASSWORD")]
    assert [new.address for new in sheet.news] == ["anna@example.com"]


def test_the_line_says_what_divides_even_if_the_header_has_another_mark() -> None:
    (new,) = read("sep=|\nemail|password\nanna@example.com|a,B;c 1-x\n").news
    assert new.password
    assert new.password.reveal() == "a,B;c 1-x"


@pytest.mark.parametrize(
    ("words", "on"),
    [
        (["TRUE", "WAHR", "vrai", "Ja", "oui", "YES", "1", "１", "はい", "是", "真", "Aktiv", ""], True),
        (["false", "FALSCH", "Faux", "nein", "NON", "no", "0", "いいえ", "否", "假", "Suspended"], False),
    ],
)
def test_yes_and_no_are_known_as_spreadsheets_write_them(words: list[str], on: bool) -> None:
    sheet = read(HEADER + "".join(f"u{n}@example.com,Correct-Horse-1,,,,{word}\n" for n, word in enumerate(words)))
    assert [new.enabled for new in sheet.news] == [on] * len(words)


@pytest.mark.parametrize(
    ("cell", "mb"),
    [
        ("1,5", 1.5),
        ("1.5", 1.5),
        ("1024,50", 1024.5),
        ("1.024,5", 1024.5),
        ("1,024.5", 1024.5),
        ("1.048.576", 1_048_576),
        ("1 024", 1024),
        ("1\u00a0024", 1024),
        ("1\u202f048\u202f576,5", 1_048_576.5),
        ("1'024", 1024),
        ("1’024", 1024),
        ("0,125", 0.125),
        ("1024.000", 1024),
        ("1.1250", 1.125),
    ],
)
def test_a_quota_is_read_as_it_is_written_elsewhere(cell: str, mb: float) -> None:
    (new,) = read(HEADER + f'anna@example.com,Correct-Horse-1,,"{cell}",,\n').news
    assert new.quota_bytes == int(mb * MB)


@pytest.mark.parametrize("cell", ["1,024", "1.024", "1,500", "999.999"])
def test_a_quota_that_has_two_readings_is_refused_with_both(cell: str) -> None:
    sheet = read(HEADER + f'anna@example.com,Correct-Horse-1,,"{cell}",,\n')
    assert refused(sheet) == [(2, "quota_mb", "INVALID_QUOTA")]
    assert f"write {cell[:-4]}{cell[-3:]}, or {cell}0" in sheet.errors[0].message


@pytest.mark.parametrize(
    "cell", ["1,5,5", "1.02.4", "12 34", "1,024,5", "1.024.5", "1..5", ",5", "5,", "1,0245.5", "1 PB", "MB"]
)
def test_a_quota_that_is_no_number_is_refused(cell: str) -> None:
    assert refused(read(HEADER + f'anna@example.com,Correct-Horse-1,,"{cell}",,\n')) == [
        (2, "quota_mb", "INVALID_QUOTA")
    ]


@pytest.mark.parametrize(
    "cell", ["a@example.com, b@example.com", "a@example.com,b@example.com", "a@example.com、b@example.com"]
)
def test_aliases_are_divided_as_our_own_lists_divide_them(cell: str) -> None:
    (new,) = read(HEADER + f'anna@example.com,Correct-Horse-1,,,"{cell}",\n').news
    assert new.aliases == ("a@example.com", "b@example.com")


@pytest.mark.parametrize(
    ("encoding", "name"), [(Encoding.CP1252, "Jürgen"), (Encoding.SHIFT_JIS, "山田太郎"), (Encoding.GB18030, "王小明")]
)
def test_an_encoding_that_the_file_does_not_tell_is_asked_for(encoding: Encoding, name: str) -> None:
    data = (HEADER + GOOD.replace("Anna", name)).encode(encoding)
    with pytest.raises(InvalidInput, match=f"it may be in .*{encoding}") as caught:
        read_rows(data, STANDARD)
    assert caught.value.code == "CSV_ENCODING"
    assert unknown_encoding(data)[encoding] == name
    assert read_rows(data, STANDARD, Reading(encoding)).news[0].display_name == name


def test_the_words_to_choose_by_are_never_of_a_password() -> None:
    data = "email,password,display_name\nanna@example.com,Schlüssel-1,Jürgen\n".encode("cp1252")
    assert readings(data)[Encoding.CP1252] == "Jürgen"
    only = "email,password\nanna@example.com,Schlüssel-1\n".encode("cp1252")
    assert readings(only)[Encoding.CP1252] == "…"


@pytest.mark.parametrize("data", [(HEADER + GOOD).encode("utf-16"), (HEADER + GOOD + "ü").encode("utf-8-sig")])
def test_a_file_that_tells_its_encoding_is_read_as_it_says(data: bytes) -> None:
    assert unknown_encoding(data) == {}
    assert read_rows(data, STANDARD, Reading(Encoding.CP1252)).columns[0] == "email"


# ---- columns of others ---------------------------------------------------------------------

GOOGLE = (
    "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],"
    "Password Hash Function [UPLOAD ONLY],Org Unit Path [Required],Status [READ ONLY],Recovery Email\n"
    "Anna,Abe,anna@example.com,****,,/,Suspended,private@example.net\n"
)
ENTRA = (
    "version:v1.0,,,,\n"
    "Name [displayName] Required,User name [userPrincipalName] Required,Initial password [passwordProfile] Required,"
    "Block sign in (Yes/No) [accountEnabled] Required,Department [department]\n"
    "Anna Abe,anna@example.com,Correct-Horse-1,Yes,Sales\n"
)
CPANEL = "email,domain,password,quota\nanna,example.com,Correct-Horse-1,250\n"
STAFF = (
    "Personalnummer;Vorname;Nachname;E-Mail-Adresse;Kennwort;Kontingent (GB)\n"
    "7;Anna;Abe;anna@example.com;Correct-Horse-1;1,5\n"
)
MODOBOA = (
    f"account;anna@example.com;{HASH.reveal()};Anna;Abe;True;SimpleUsers;anna@example.com;100;example.com\n"
    "alias;info@example.com;True;anna@example.com\n"
)
JAPANESE = "姓,名,メールアドレス,パスワード,有効\n田中,花子,anna@example.com,Correct-Horse-1,いいえ\n"


@pytest.mark.parametrize(
    ("file", "name", "quota_mb", "enabled"),
    [
        (GOOGLE, "Anna Abe", None, False),
        (ENTRA, "Anna Abe", None, False),
        (CPANEL, "", 250, True),
        (STAFF, "Anna Abe", 1536, True),
        (MODOBOA, "Anna Abe", 100, True),
        (JAPANESE, "田中 花子", None, False),
    ],
)
def test_the_files_of_others_are_known(file: str, name: str, quota_mb: int | None, enabled: bool) -> None:
    (new,) = read_rows(file.encode(), STANDARD, Reading(passwords=True)).news
    quota = None if quota_mb is None else quota_mb * MB
    assert (new.address, new.display_name, new.quota_bytes, new.enabled) == ("anna@example.com", name, quota, enabled)


def test_no_heading_leads_to_two_columns_and_each_is_found_as_it_is_written() -> None:
    names = [name for headings in HEADINGS.values() for name in headings]
    assert sorted(set(names)) == sorted(names)
    assert [plain(name) for name in names] == names
    assert set(COLUMNS) <= {column for column, headings in HEADINGS.items() if plain(column) in headings}


def test_what_is_not_used_of_a_file_is_said() -> None:
    assert read_rows(STAFF.encode(), STANDARD).left_out == ["Personalnummer"]


def test_a_slip_in_a_column_of_our_own_is_not_left_out() -> None:
    assert "qouta_mb" in unreadable("email,password,qouta_mb\nanna@example.com,Correct-Horse-1,5\n")


def test_columns_are_what_one_says_they_are() -> None:
    data = b"Mail,Code,Name,password\nanna@example.com,Correct-Horse-1,Anna,Battery-Staple-2\n"
    sheet = read_rows(data, STANDARD, reading_of(data, None, ["password=Code", "display_name="]))
    (new,) = sheet.news
    assert new.password
    assert (new.password.reveal(), new.display_name) == ("Correct-Horse-1", "")
    assert sheet.left_out == ["Name", "password"]


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("email", "no column=heading"),
        ("colour=Mail", "no column=heading"),
        ("email=Nowhere", "no column Nowhere"),
        ("display_name=Mail", "Mail is there twice"),
        ("email=", "needed"),
    ],
)
def test_columns_that_cannot_be_so_are_a_sentence(pair: str, says: str) -> None:
    data = b"Mail,Code\nanna@example.com,Correct-Horse-1\n"
    with pytest.raises(InvalidInput, match=says):
        read_rows(data, STANDARD, reading_of(data, None, ["password=Code", pair]))


def test_a_refusal_names_the_column_as_the_file_does() -> None:
    sheet = read(STAFF.replace("1,5", "much").replace("Correct-Horse-1", "weak"))
    assert refused(sheet) == [(2, "Kennwort", "WEAK_PASSWORD"), (2, "Kontingent (GB)", "INVALID_QUOTA")]


@pytest.mark.parametrize(
    ("cell", "mb"),
    [("2 GB", 2048), ("1,5GiB", 1536), ("500M", 500), ("2 Go", 2048), ("1 TB", 1 << 20), ("512 KB", 1), ("0 GB", 0)],
)
def test_a_quota_may_have_its_unit(cell: str, mb: int) -> None:
    (new,) = read(HEADER + f'anna@example.com,Correct-Horse-1,,"{cell}",,\n').news
    assert new.quota_bytes == mb * MB


def test_a_look_shows_the_first_rows_and_what_was_recognised() -> None:
    seen = look((STAFF + "8;Ben;B;ben@example.com;x;2\n" * 9).encode())
    assert (seen.header[0], len(seen.rows), seen.columns["email"]) == ("Personalnummer", 5, "E-Mail-Adresse")
    assert "Correct-Horse-1" not in repr(seen)


def test_refused_rows_of_others_come_back_under_their_own_headings(world: World) -> None:
    data = (STAFF + "8;Ben;=B;ben@example.com;weak;2\n").encode()
    text = rejected_csv(import_csv(world.app, world.alice, data))
    assert text.splitlines()[0] == "error,Personalnummer,Vorname,Nachname,E-Mail-Adresse,Kennwort,Kontingent (GB)"
    assert text.splitlines()[1].endswith(",8,Ben,'=B,ben@example.com,weak,2")
    again = import_csv(world.app, world.alice, text.replace(",weak,", ",Battery-Staple-2,").encode())
    assert (len(again.created), again.errors) == (1, [])


def hash_of(world: World, address: str) -> str:
    return next(line.partition("|")[2] for line in world.text().splitlines() if line.startswith(address))


def test_a_row_without_a_password_gets_a_new_one_that_is_told_once(world: World) -> None:
    data = b"email,password\nanna@example.com,\nben@example.com,Correct-Horse-1\nno@elsewhere.example,\n"
    assert plan_import(world.app, world.alice, data).errors[0].code == "PASSWORD_NEEDED"
    reading = Reading(passwords=True)
    assert plan_import(world.app, world.alice, data, reading).passwords == {}
    result = import_csv(world.app, world.alice, data, reading=reading, idempotency_key="once")
    assert list(result.passwords) == ["anna@example.com"]
    assert len(result.created) == 2
    made = result.passwords["anna@example.com"].reveal()
    assert world.text().count("{SHA512-CRYPT}") == 2
    assert made not in repr(result)
    assert verify_password(Secret(made), Secret(hash_of(world, "anna@example.com")))
    again = import_csv(world.app, world.alice, data, reading=reading, idempotency_key="once")
    assert (again.created, again.passwords) == (result.created, {})


# ---- mailboxes that exist ------------------------------------------------------------------

UPDATES = (
    "email,password,display_name,quota_mb,enabled\n"
    "anna@example.com,Correct-Horse-9,Anna New,2048,\n"
    "ben@example.com,,,,false\n"
    "chen@example.com,,Chen,,\n"
    "dora@example.com,Correct-Horse-1,Dora,,\n"
    "emil@example.com,,Emil,,\n"
    "anna@example.com,,Twice,,\n"
    "gone@example.com,,Gone,,\n"
)
UPDATE = Reading(update=True)


@pytest.fixture
def three(world: World) -> World:
    for name in ("anna", "ben", "chen", "gone"):
        world.add(f"{name}@example.com", display_name=name.title(), quota_bytes=500 * MB)
    uid = world.app.queries.mailbox_by_address(world.alice, "gone@example.com").uid
    world.app.services.mailboxes.delete(world.alice, uid)
    return world


def differences(result: Any) -> dict[str, Any]:
    return {one.address.partition("@")[0]: one.values for one in result.updated}


def test_what_differs_of_mailboxes_that_exist_is_shown_before_and_then_done(three: World) -> None:
    expected = {
        "anna": {"display_name": ("Anna", "Anna New"), "quota_bytes": (500 * MB, 2048 * MB)},
        "ben": {"enabled": (True, False)},
    }
    refusals = [(6, "PASSWORD_NEEDED"), (7, "DUPLICATE_MAILBOX"), (8, "PASSWORD_NEEDED")]
    before, hashed = three.text("dovecot-quotas.cf"), hash_of(three, "anna")
    plan = plan_import(three.app, three.alice, UPDATES.encode(), UPDATE)
    assert (differences(plan), plan.unchanged, len(plan.accepted)) == (expected, 1, 1)
    assert [(error.number, error.code) for error in plan.errors] == refusals
    assert three.text("dovecot-quotas.cf") == before

    done = import_csv(three.app, three.alice, UPDATES.encode(), reading=UPDATE)
    assert (differences(done), done.unchanged, len(done.created)) == (expected, 1, 1)
    assert [(error.number, error.code) for error in done.errors] == refusals
    ben = three.app.queries.mailbox_by_address(three.alice, "ben@example.com")
    assert (ben.status, ben.sync_status, ben.display_name) == (Status.DISABLED, SyncStatus.SYNCED, "Ben")
    assert "anna@example.com:2048M" in three.text("dovecot-quotas.cf")
    assert hash_of(three, "anna") == hashed
    records = [row for row in three.app.queries.logs(three.alice).rows if row["resource_name"] == "anna@example.com"]
    assert (records[0]["operation"], records[0]["status"]) == ("mailbox.edit", "SUCCESS")
    assert three.app.queries.verify_audit(three.alice).intact


def test_what_is_so_already_makes_no_change_and_no_record(three: World) -> None:
    import_csv(three.app, three.alice, UPDATES.encode(), reading=UPDATE)
    records = three.app.queries.logs(three.alice).total
    again = import_csv(three.app, three.alice, UPDATES.encode(), reading=UPDATE)
    assert (differences(again), again.unchanged, again.created) == ({}, 4, [])
    assert three.app.queries.logs(three.alice).total == records


def test_a_password_is_set_only_when_it_is_asked_for(three: World) -> None:
    data = b"email,password\nanna@example.com,Correct-Horse-9\nben@example.com,weak\nchen@example.com,\n"
    reading = Reading(update=True, set_passwords=True, passwords=True)
    chens = hash_of(three, "chen")
    plan = plan_import(three.app, three.alice, data, reading)
    assert differences(plan) == {"anna": {"password": ("***", "***")}}
    done = import_csv(three.app, three.alice, data, reading=reading)
    assert refused(done) == [(3, "password", "WEAK_PASSWORD")]  # type: ignore[arg-type]
    assert verify_password(Secret("Correct-Horse-9"), Secret(hash_of(three, "anna")))
    assert (hash_of(three, "chen"), done.passwords) == (chens, {})


def test_without_being_asked_a_mailbox_that_exists_stays_as_it_is(three: World) -> None:
    result = import_csv(three.app, three.alice, (HEADER + "anna@example.com,Correct-Horse-9,X,1,,false\n").encode())
    assert [error.code for error in result.errors] == ["DUPLICATE_MAILBOX"]
    assert three.app.queries.mailbox_by_address(three.alice, "anna@example.com").display_name == "Anna"


def test_a_domain_admin_updates_in_their_domains_only(three: World) -> None:
    three.add("olga@example.org", display_name="Olga")
    data = b"email,display_name\nanna@example.com,A\nolga@example.org,O\n"
    result = import_csv(three.app, three.dora, data, reading=UPDATE)
    assert list(differences(result)) == ["anna"]
    assert three.app.queries.mailbox_by_address(three.alice, "olga@example.org").display_name == "Olga"


# ---- import --------------------------------------------------------------------------------

SHEET = (
    HEADER
    + GOOD
    + "ben@example.com,Battery-Staple-2,,,info@example.com sales@example.com,false\n"
    + "weak@example.com,weak,,,,\n"
    + "anna@example.com,Correct-Horse-1,,,,\n"
    + "olga@elsewhere.example.net,Correct-Horse-1,,,,\n"
    + "chen@example.com,Correct-Horse-1,,,info@example.com,\n"
    + "dora@example.com,Correct-Horse-1,,,x@elsewhere.example.net,\n"
    + "correct-horse-1@example.com,Correct-Horse-1,,,,\n"
)
REFUSALS = [
    (4, "password", "WEAK_PASSWORD"),
    (5, "email", "DUPLICATE_MAILBOX"),
    (6, "email", "DOMAIN_NOT_FOUND"),
    (7, "aliases", "DUPLICATE_ALIAS"),
    (8, "aliases", "DOMAIN_NOT_FOUND"),
    (9, "password", "WEAK_PASSWORD"),
]


def addresses_of(world: World) -> list[str]:
    return [row["address"] for row in world.app.queries.each_mailbox(world.alice)]


def test_a_dry_run_says_what_an_import_then_does(world: World) -> None:
    plan = plan_import(world.app, world.alice, SHEET.encode())
    assert [new.address for new in plan.accepted] == ["anna@example.com", "ben@example.com"]
    assert [(e.number, e.column, e.code) for e in plan.errors] == REFUSALS
    assert (addresses_of(world), list(plan.created), world.text()) == ([], [], "")
    done = import_csv(world.app, world.alice, SHEET.encode())
    assert len(done.created) == 2
    assert [(e.number, e.column, e.code) for e in done.errors] == REFUSALS
    assert addresses_of(world) == ["anna@example.com", "ben@example.com"]


def test_what_was_asked_for_is_on_the_server(world: World) -> None:
    import_csv(world.app, world.alice, SHEET.encode())
    ben = world.app.queries.mailbox_by_address(world.alice, "ben@example.com")
    assert (ben.sync_status, ben.status, ben.quota_bytes) == (SyncStatus.SYNCED, Status.DISABLED, 1 << 30)
    assert world.text("postfix-virtual.cf") == "info@example.com ben@example.com\nsales@example.com ben@example.com\n"
    assert world.text("dovecot-quotas.cf") == "anna@example.com:500M\nben@example.com:1024M\n"
    assert world.text().count("{SHA512-CRYPT}$6$") == 2
    assert world.app.queries.verify_audit(world.alice).intact


def test_a_file_that_is_fed_twice_is_refused_as_duplicates(world: World) -> None:
    data = (HEADER + GOOD).encode()
    import_csv(world.app, world.alice, data)
    again = import_csv(world.app, world.alice, data)
    assert [error.code for error in again.errors] == ["DUPLICATE_MAILBOX"]
    assert (list(again.created), list(again.accepted)) == ([], [])


def test_the_same_call_with_a_key_is_one_import(world: World) -> None:
    data = (HEADER + GOOD).encode()
    first = import_csv(world.app, world.alice, data, idempotency_key="k")
    second = import_csv(world.app, world.alice, data, idempotency_key="k")
    assert (second.created, second.errors) == (first.created, [])


def test_progress_is_told_up_to_the_end(world: World) -> None:
    told: list[tuple[int, int]] = []
    rows = "".join(f"u{n}@example.com,Correct-Horse-{n},,,,\n" for n in range(130))
    import_csv(world.app, world.alice, (HEADER + rows).encode(), lambda done, of: told.append((done, of)))
    assert told == [(100, 130), (130, 130)]


def test_more_than_one_part_is_one_batch(world: World) -> None:
    batches = note_batches(world.app)
    rows = "".join(f"u{n:04}@example.com,{HASH.reveal()}\n" for n in range(1_100))
    result = import_csv(world.app, world.alice, ("email,password_hash\n" + rows).encode())
    assert len(result.created) == 1_100
    assert batches == [1_100]
    assert world.app.queries.counts(world.alice)["mailbox.SYNCED"] == 1_100
    assert len(world.text().splitlines()) == 1_100


def test_rejected_rows_are_corrected_and_fed_again(world: World, tmp_path: Path) -> None:
    text = HEADER + "anna@example.com,weak,=1+1,500,,\nben@example.com,Correct-Horse-1,'=2+2,,info,\ntoo,few\n"
    result = import_csv(world.app, world.alice, text.encode())
    path = tmp_path / "rejected.csv"
    write_secret(path, rejected_csv(result))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header, anna, ben, few = path.read_text().splitlines()
    assert header == "error," + HEADER.strip()
    assert anna.endswith(",anna@example.com,weak,'=1+1,500,,")
    assert ben.endswith(",ben@example.com,Correct-Horse-1,'=2+2,,info,")
    assert few.endswith(",too,few")
    assert [e.code for e in plan_import(world.app, world.alice, path.read_bytes()).errors] == [
        e.code for e in result.errors
    ]
    mended = (
        path.read_text()
        .replace(",weak,", ",Battery-Staple-2,")
        .replace(",info,", ",info@example.com,")
        .replace("too,few", "")
    )
    again = import_csv(world.app, world.alice, mended.partition("it has")[0].rpartition("\n")[0].encode())
    assert (len(again.created), list(again.errors)) == (2, [])
    assert world.app.queries.mailbox_by_address(world.alice, "anna@example.com").display_name == "=1+1"


def test_rejected_rows_do_not_change_when_they_are_fed_uncorrected(world: World) -> None:
    first = rejected_csv(plan_import(world.app, world.alice, SHEET.encode()))
    alone = [e.code for e in plan_import(world.app, world.alice, first.encode()).errors]
    assert "WEAK_PASSWORD" in alone
    assert "DOMAIN_NOT_FOUND" in alone


def test_a_domain_admin_imports_into_their_domains_only(world: World) -> None:
    text = HEADER + GOOD + "olga@example.org,Correct-Horse-1,,,,\nben@example.com,Correct-Horse-1,,,x@example.org,\n"
    result = import_csv(world.app, world.dora, text.encode())
    assert [(e.number, e.column, e.code) for e in result.errors] == [
        (3, "email", "INSUFFICIENT_PERMISSION"),
        (4, "aliases", "INSUFFICIENT_PERMISSION"),
    ]
    assert addresses_of(world) == ["anna@example.com"]


@pytest.mark.parametrize("what", [plan_import, import_csv])
def test_a_viewer_imports_nothing(world: World, what: Any) -> None:
    with pytest.raises(AccessDenied):
        what(world.app, world.vera, (HEADER + GOOD).encode())
    page = world.app.queries.logs(world.alice)
    assert (page.rows[0]["operation"], page.rows[0]["status"]) == ("mailbox.create_many", "FAILED")
