"""A CSV file as it is read: what each row asks for, and what is wrong with it.

Cells are text: nothing is guessed, so `NA`, `null` and `007` stay what they are.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any

from provision.core import address as addresses
from provision.core.errors import InvalidInput, ProvisionError
from provision.core.passwords import PasswordRules, check_hash, check_password
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.services.checks import check_display_name
from provision.services.new_mailbox import NewMailbox
from provision.transfer import cells as meaning
from provision.transfer.cells import guard, unguard
from provision.transfer.mapping import (
    COLUMNS,
    INSTEAD,
    SECRET_COLUMNS,
    as_ours,
    is_ours,
    recognise,
    said,
    without_header,
)

MAX_BYTES = 20 << 20
MAX_ROWS = 50_000
ERROR = "error"  # the column that a file of rejected rows has more; ignored when it is fed again
TELLING = ("email", "display_name", "first_name", "last_name")  # by which a person sees what a file is in
LOOKED_AT = 5  # rows
VERSION = r"version:v1\.0[,;]*"  # so begin the files of Microsoft Entra
BREAK = re.compile(r"\r\n|\r|\n")
EMPTY = r"(?:[ \t,;]*(?:\r\n|\r|\n))*"
BEFORE_HEADER = re.compile(rf'{EMPTY}(?:(?:"?sep=([,;\t|])"?|{VERSION})[ \t,;]*(?:\r\n|\r|\n))?{EMPTY}', re.IGNORECASE)
Parser = tuple[str, Callable[[str], Any]]  # what it is of NewMailbox, and how a cell becomes that


class Encoding(StrEnum):
    """What files are in besides UTF-8 and UTF-16. One cannot be told from another, so a person says which it is."""

    CP1252 = "cp1252"
    SHIFT_JIS = "shift_jis"
    GB18030 = "gb18030"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read. `columns`: the headings of its columns; None: they are recognised, or are ours.

    `passwords`: rows may be without, since each such row gets a new one. `update`: an address that exists is made as
    its row says, an empty cell leaves what is there; its password only with `set_passwords`.
    """

    encoding: Encoding | None = None
    columns: Mapping[str, str] | None = None
    passwords: bool = False
    update: bool = False
    set_passwords: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A file at a glance: its headings, its first rows, and what was recognised."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(repr=False)
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file. `number`: the line it begins on; the header is 1."""

    number: int
    cells: Mapping[str, str] = field(repr=False)
    raw: tuple[str, ...] = field(repr=False)  # as many cells as there really are, for the file of rejected rows


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was refused. `column` is empty where no single one is to blame."""

    row: Row
    column: str
    code: str
    message: str

    @property
    def number(self) -> int:
        return self.row.number

    def __str__(self) -> str:
        return f"row {self.number}{', ' if self.column else ''}{self.column}: {self.message}"


@dataclass(slots=True)
class Sheet:
    """A file that was read: `news[i]` is asked for by `rows[i]`; rows that cannot be used are in `errors`.

    `columns` are its headings; `mapping` says which of them is what, `left_out` which are not used.
    """

    columns: tuple[str, ...]
    mapping: Mapping[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    news: list[NewMailbox] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # addresses

    @property
    def left_out(self) -> list[str]:
        used = set(self.mapping.values())
        return [heading for heading in self.columns if heading not in used]

    def called(self, column: str) -> str:
        """What the file calls a column of ours."""
        return self.mapping.get(column) or self.mapping.get(INSTEAD.get(column, ""), column)


def read_rows(data: bytes, rules: PasswordRules | None, how: Reading = Reading()) -> Sheet:
    """Read a file. What is wrong with a row is in `errors`; what is wrong with the whole file raises InvalidInput.

    Without `rules` what comes of it depends on the file alone; its passwords are then checked where they are used.
    """
    reader, header, skipped = open_rows(decode(data, how.encoding))
    columns = _columns(header, how)
    names = {heading: name for name, heading in columns.items()}
    fields = [ERROR if heading.lower() == ERROR else names.get(heading, "") for heading in header]
    sheet = Sheet(tuple(h for h in header if h.lower() != ERROR), columns)
    parsers, count = _parsers(rules), 0
    try:
        for cells in reader:
            count += bool(cells)
            if count > MAX_ROWS:
                raise _unreadable(f"The file has more than {MAX_ROWS:,} rows; split it.")
            if any(cell.strip() for cell in cells):  # else an empty line of a spreadsheet
                breaks = sum(len(BREAK.findall(cell)) for cell in cells)
                row = _row(skipped + reader.line_num - breaks, fields, cells)
                _read_row(sheet, row, len(fields), len(cells), parsers, how)
    except csv.Error as error:
        raise broken(skipped + reader.line_num, error) from None
    return sheet


def reading_of(data: bytes, encoding: Encoding | None, pairs: Sequence[str], **how: bool) -> Reading:
    """As programs say it: `pairs` such as `email=Mail` go before what is recognised. Raises: InvalidInput."""
    columns = {**look(data, encoding).columns, **said(pairs)} if pairs else None
    return Reading(encoding, columns, **how)


def look(data: bytes, encoding: Encoding | None = None) -> Look:
    """Raises: InvalidInput."""
    reader, header, skipped = open_rows(decode(data, encoding))
    try:
        return Look(tuple(header), tuple(map(tuple, islice(filter(None, reader), LOOKED_AT))), recognise(header))
    except csv.Error as error:
        raise broken(skipped + reader.line_num, error) from None


def decode(data: bytes, encoding: Encoding | None = None) -> str:
    """`encoding`: what a file is in that is neither UTF-8 nor UTF-16. Raises: InvalidInput, without it CSV_ENCODING."""
    if len(data) > MAX_BYTES:
        raise _unreadable(f"The file is larger than {MAX_BYTES >> 20} MB; split it.")
    if data.startswith(b"PK\x03\x04"):
        raise _unreadable("This is a spreadsheet or archive; save it as “CSV UTF-8” and import that.")
    try:
        text = _recognised(data, encoding)
    except UnicodeDecodeError:
        raise _not_unicode(data) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _unreadable(f"Row {line} holds a NUL character: this is no text; save it as “CSV UTF-8”.")
    return text


def _recognised(data: bytes, encoding: Encoding | None) -> str:
    """UTF-16 begins with its mark, or every other byte of its first letters is a NUL. Raises: UnicodeDecodeError."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    for name, every_other in (("utf-16-be", data[0:4:2]), ("utf-16-le", data[1:4:2])):
        if every_other == b"\0\0":
            return data.decode(name)
    return data.decode("utf-8-sig" if encoding is None or data.startswith(b"\xef\xbb\xbf") else encoding)


def _not_unicode(data: bytes) -> InvalidInput:
    possible = ", ".join(readings(data))
    if not possible:
        return _unreadable("The file is not in UTF-8; save it as “CSV UTF-8” and import that.")
    return InvalidInput(
        f"The file is not in UTF-8; it may be in {possible}. Say which, or save it as “CSV UTF-8”.", code="CSV_ENCODING"
    )


def unknown_encoding(data: bytes) -> dict[Encoding, str]:
    """The `readings` between which a person must choose; empty where the file tells, or cannot be read at all."""
    try:
        decode(data)
    except InvalidInput as error:
        return readings(data) if error.code == "CSV_ENCODING" else {}
    return {}


def readings(data: bytes) -> dict[Encoding, str]:
    """What else a file may be in, with the first words that show it. What a column of passwords holds is not shown."""
    if b"\0" in data:
        return {}  # no text at all
    return {encoding: words for encoding in Encoding if (words := _first_words(data, encoding))}


def _first_words(data: bytes, encoding: Encoding) -> str:
    """Up to five cells that are not ASCII; empty where the file cannot be in this encoding."""
    try:
        reader, header, _ = open_rows(data.decode(encoding))
        known = recognise(header)
        shown = [header.index(known[name]) for name in TELLING if name in known]
        cells = [*header, *(row[n] for row in islice(reader, MAX_ROWS) for n in shown if n < len(row))]
    except (UnicodeDecodeError, csv.Error, InvalidInput):
        return ""
    words = ", ".join(islice((cell for cell in cells if not cell.isascii()), LOOKED_AT)) or "…"
    return words if words.isprintable() else ""


def open_rows(text: str) -> tuple[Any, list[str], int]:
    """The rows below the header, its headings, and how many lines stand before what the reader counts.

    Spreadsheets in some languages write `;` or tabs: a line `sep=;` says so, or the header. Raises: InvalidInput.
    """
    before = BEFORE_HEADER.match(text)
    skipped = before[0] if before else ""
    rest = text[len(skipped) :]
    header = BREAK.split(rest, maxsplit=1)[0]
    mark = (before[1] if before else None) or next((mark for mark in ",;\t" if mark in header), ",")
    try:
        first = next(csv.reader(io.StringIO(rest, newline=""), strict=True, delimiter=mark), [])
    except csv.Error as error:
        raise broken(len(BREAK.findall(skipped)) + 1, error) from None
    reader = csv.reader(io.StringIO(rest, newline=""), strict=True, delimiter=mark)
    if names := without_header(first):
        return reader, list(names), len(BREAK.findall(skipped))
    next(reader, None)
    return reader, [name.strip() for name in first], len(BREAK.findall(skipped))


def _columns(header: Sequence[str], how: Reading) -> dict[str, str]:
    """The heading of each column that is used. Raises: InvalidInput."""
    if not header:
        raise _unreadable(f"The file is empty; its first row should be: {', '.join(COLUMNS)}.")
    found = recognise(header) if how.columns is None else {n: heading for n, heading in how.columns.items() if heading}
    known = {*found.values(), *(heading for heading in header if heading.lower() == ERROR)}
    unknown = [heading or "(without a name)" for heading in header if heading not in known]
    if unknown and how.columns is None and (is_ours(header) or "email" not in found):
        raise _unreadable(f"The column {', '.join(unknown)} is not known; there are: {', '.join(COLUMNS)}.")
    absent = [heading for heading in found.values() if heading not in header]
    if absent:
        raise _unreadable(f"The file has no column {', '.join(absent)}.")
    twice = sorted({heading for heading in known if header.count(heading) + list(found.values()).count(heading) > 2})
    if twice:
        raise _unreadable(f"The column {', '.join(twice)} is there twice.")
    if "email" not in found or (SECRET_COLUMNS.isdisjoint(found) and not (how.passwords or how.update)):
        raise _unreadable("The columns email and password (or password_hash) are needed.")
    return found


def _row(number: int, fields: Sequence[str], cells: Sequence[str]) -> Row:
    """Where fields are too many or too few nobody knows which is the password: they stay as they are."""
    if len(cells) != len(fields):
        return Row(number, {}, tuple(cells[fields.index(ERROR) + 1 :] if fields[:1] == [ERROR] else cells))
    both = [(name, cell) for name, cell in zip(fields, cells, strict=True) if name != ERROR]
    raw = tuple(cell if name in SECRET_COLUMNS else guard(unguard(cell)) for name, cell in both)
    return Row(number, {name: cell for name, cell in both if name}, raw)


def _read_row(sheet: Sheet, row: Row, wanted: int, there: int, parsers: Mapping[str, Parser], how: Reading) -> None:
    if there != wanted:
        message = N_(f"it has {there} fields, the header {wanted}; is a quote missing?")
        sheet.errors.append(RowError(row, "", "FIELD_COUNT", message))
        return
    new = _new_mailbox(row, parsers, how, sheet)
    if new and how.update and new.address in sheet.seen:
        message = N_("This address comes twice in the file.")
        sheet.errors.append(RowError(row, sheet.called("email"), "DUPLICATE_MAILBOX", message))
    elif new:
        sheet.seen.add(new.address)
        sheet.rows.append(row)
        sheet.news.append(new)


def _new_mailbox(row: Row, parsers: Mapping[str, Parser], how: Reading, sheet: Sheet) -> NewMailbox | None:
    """What the row asks for; each cell that is wrong becomes an error."""
    found: dict[str, Any] = {}
    wrong = False
    cells = as_ours({n: c if n in SECRET_COLUMNS else unguard(c.strip(" ")) for n, c in row.cells.items()})
    if how.passwords and not cells["password"].strip("*"):
        cells["password"] = ""  # Google writes asterisks where the password is not told
    for column, (name, parse) in parsers.items():
        try:
            found[name] = parse(cells[column])
        except ProvisionError as error:
            sheet.errors.append(RowError(row, sheet.called(column), error.code, error.message))
            wrong = True
    given = 0 if wrong else sum(found[name] is not None for name in ("password", "password_hash"))
    if not wrong and not (given == 1 or (given == 0 and (how.passwords or how.update))):
        message = N_("Give a password or a password_hash, not both.")
        sheet.errors.append(RowError(row, sheet.called("password"), "PASSWORD_NEEDED", message))
        wrong = True
    return None if wrong else NewMailbox(**found)


def _password(rules: PasswordRules | None, cell: str) -> Secret | None:
    if not cell:
        return None
    return check_password(Secret(cell), rules) if rules else Secret(cell)


def _parsers(rules: PasswordRules | None) -> dict[str, Parser]:
    return {
        "email": ("address", addresses.normalise),
        "password": ("password", partial(_password, rules)),
        "password_hash": ("password_hash", lambda cell: check_hash(cell.strip()) if cell.strip() else None),
        "display_name": ("display_name", check_display_name),
        "quota_mb": ("quota_bytes", meaning.quota_bytes),
        "aliases": ("aliases", meaning.aliases),
        "enabled": ("enabled", meaning.enabled),
    }


def broken(near: int, error: csv.Error) -> InvalidInput:
    return _unreadable(f"Near row {near} the quotes do not add up ({error}). Nothing was read.")


def _unreadable(message: str) -> InvalidInput:
    return InvalidInput(message, code="CSV_UNREADABLE")
