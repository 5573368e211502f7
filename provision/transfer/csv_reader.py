"""A CSV file as it is read: what each row asks for, and what is wrong with it.

Cells are text: nothing is guessed, so `NA`, `null` and `007` stay what they are.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any

from provision.core import address as addresses
from provision.core.errors import InvalidInput, ProvisionError
from provision.core.passwords import PasswordRules, check_hash, check_password
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.services.checks import check_display_name, check_quota
from provision.services.new_mailbox import NewMailbox

MAX_BYTES = 20 << 20
MAX_ROWS = 50_000
COLUMNS = ("email", "password", "password_hash", "display_name", "quota_mb", "aliases", "enabled")
ERROR = "error"  # the column that a file of rejected rows has more; ignored when it is fed again
SECRET_COLUMNS = frozenset({"password", "password_hash"})
SHOWN_COLUMNS = frozenset({"email", "display_name", "aliases"})  # by which a person tells what a file is in
REST = "\0rest"  # no column can be called so: NUL is refused before
MB = 1 << 20
FORMULA = re.compile(r"'*[=+\-@\t\r]")
YES = re.compile("|true|yes|y|on|1|enabled|active|wahr|ja|aktiv|vrai|oui|actif|はい|真|有効|是|启用")
NO = re.compile("false|no|n|off|0|disabled|suspended|falsch|nein|inaktiv|faux|non|inactif|いいえ|偽|無効|否|假|禁用")
BREAK = re.compile(r"\r\n|\r|\n")
EMPTY = r"(?:[ \t,;]*(?:\r\n|\r|\n))*"
BEFORE_HEADER = re.compile(rf'{EMPTY}(?:"?sep=([,;\t|])"?[ \t,;]*(?:\r\n|\r|\n))?{EMPTY}', re.IGNORECASE)
GROUPS = re.compile(r"(?<=[0-9])[ \u00a0\u202f'’](?=[0-9]{3}(?![0-9]))")  # nothing else is meant by these in a number
TWO_READINGS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
NUMBER = r"[0-9]{{1,10}}(\{0}[0-9]{{1,20}})?|[1-9][0-9]{{0,2}}(\{1}[0-9]{{3}}){{1,3}}(\{0}[0-9]{{1,20}})?"
Parser = tuple[str, Callable[[str], Any]]  # what it is of NewMailbox, and how a cell becomes that


class Encoding(StrEnum):
    """What files are in besides UTF-8 and UTF-16. One cannot be told from another, so a person says which it is."""

    CP1252 = "cp1252"
    SHIFT_JIS = "shift_jis"
    GB18030 = "gb18030"


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
    """A file that was read: `news[i]` is asked for by `rows[i]`; rows that cannot be used are in `errors`."""

    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    news: list[NewMailbox] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


def read_rows(data: bytes, rules: PasswordRules | None, encoding: Encoding | None = None) -> Sheet:
    """Read a file. What is wrong with a row is in `errors`; what is wrong with the whole file raises InvalidInput.

    Without `rules` what comes of it depends on the file alone; its passwords are then checked where they are used.
    """
    text, delimiter, skipped = _from_header(decode(data, encoding))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, restkey=REST, restval=None, delimiter=delimiter)
    try:
        columns = _columns(reader.fieldnames or [])
        reader.fieldnames = columns
        parsers = _parsers(rules)
        sheet = Sheet(tuple(name for name in columns if name != ERROR))
        for count, cells in enumerate(reader):
            if count == MAX_ROWS:
                raise _unreadable(f"The file has more than {MAX_ROWS:,} rows; split it.")
            _read_row(sheet, columns, cells, skipped + reader.line_num, parsers)
    except csv.Error as error:
        near = skipped + reader.line_num
        raise _unreadable(f"Near row {near} the quotes do not add up ({error}). Nothing was read.") from None
    return sheet


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
    return {encoding: words for encoding in Encoding if (words := _first_words(data, encoding))}


def _first_words(data: bytes, encoding: Encoding) -> str:
    """Up to five cells that are not ASCII; empty where the file cannot be in this encoding."""
    try:
        text, delimiter, _ = _from_header(data.decode(encoding))
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        header = [name.strip().lower() for name in next(rows)]
        shown = [n for n, name in enumerate(header) if name in SHOWN_COLUMNS]
        cells = (row[n] for row in rows for n in shown if n < len(row) and not row[n].isascii())
        words = ", ".join(islice(cells, 5)) or "…"
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return ""
    return words if "\0" not in text and words.isprintable() else ""


def _from_header(text: str) -> tuple[str, str, int]:
    """The text from its header on, what divides its columns, and the number of lines before it.

    Spreadsheets in some languages write `;` or tabs: a line `sep=;` says so, or the header.
    """
    before = BEFORE_HEADER.match(text)
    skipped = before[0] if before else ""
    rest = text[len(skipped) :]
    header = BREAK.split(rest, maxsplit=1)[0]
    said = before[1] if before else None
    return rest, said or next((mark for mark in ",;\t" if mark in header), ","), len(BREAK.findall(skipped))


def _columns(header: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in header]
    if not names:
        raise _unreadable(f"The file is empty; its first row should be: {', '.join(COLUMNS)}.")
    unknown = [name or "(without a name)" for name in names if name not in (*COLUMNS, ERROR)]
    if unknown:
        raise _unreadable(f"The column {', '.join(unknown)} is not known; there are: {', '.join(COLUMNS)}.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _unreadable(f"The column {', '.join(twice)} is there twice.")
    if "email" not in names or SECRET_COLUMNS.isdisjoint(names):
        raise _unreadable("The columns email and password (or password_hash) are needed.")
    return names


def _read_row(
    sheet: Sheet, columns: Sequence[str], cells: Mapping[str, Any], last_line: int, parsers: Mapping[str, Parser]
) -> None:
    rest = cells.get(REST, [])
    fields = [cells[name] for name in columns if cells[name] is not None]
    if not any(cell.strip() for cell in (*fields, *rest)):
        return  # an empty line of a spreadsheet
    breaks = sum(len(BREAK.findall(cell)) for cell in (*fields, *rest))
    named = {name: cells[name] for name in columns if name != ERROR and cells[name] is not None}
    raw = (*named.values(), *rest)
    row = Row(last_line - breaks, named, raw)
    if len(fields) + len(rest) != len(columns):
        message = N_(f"it has {len(fields) + len(rest)} fields, the header {len(columns)}; is a quote missing?")
        sheet.errors.append(RowError(row, "", "FIELD_COUNT", message))
        return
    new = _new_mailbox(row, parsers, sheet.errors)
    if new:
        sheet.rows.append(row)
        sheet.news.append(new)


def _new_mailbox(row: Row, parsers: Mapping[str, Parser], errors: list[RowError]) -> NewMailbox | None:
    """What the row asks for; each cell that is wrong becomes an error."""
    found: dict[str, Any] = {}
    wrong = False
    for column, (name, parse) in parsers.items():
        cell = row.cells.get(column, "")
        try:
            found[name] = parse(cell if column in SECRET_COLUMNS else unguard(cell.strip(" ")))
        except ProvisionError as error:
            errors.append(RowError(row, column, error.code, error.message))
            wrong = True
    if not wrong and (found["password"] is None) == (found["password_hash"] is None):
        errors.append(RowError(row, "password", "PASSWORD_NEEDED", N_("Give a password or a password_hash, not both.")))
        wrong = True
    return None if wrong else NewMailbox(**found)


def _password(rules: PasswordRules | None, cell: str) -> Secret | None:
    if not cell:
        return None
    return check_password(Secret(cell), rules) if rules else Secret(cell)


def _quota_bytes(cell: str) -> int | None:
    if not cell:
        return None
    size = _number(cell) * MB
    if size != int(size):
        raise _no_quota()
    return check_quota(int(size))


def _number(cell: str) -> Decimal:
    """As people write it: `1024`, `1.5`, `1,5`, `1.024,5`, `1 024`. Raises: InvalidInput, also for two readings."""
    text = GROUPS.sub("", cell)
    if TWO_READINGS.fullmatch(text):
        whole, part = text[:-4] + text[-3:], f"{text}0"
        raise InvalidInput(f"{cell} can be read in two ways; write {whole}, or {part}.", code="INVALID_QUOTA")
    for decimal, thousands in (".,", ",."):
        if re.fullmatch(NUMBER.format(decimal, thousands), text):
            return Decimal(text.replace(thousands, "").replace(decimal, "."))
    raise _no_quota()


def _no_quota() -> InvalidInput:
    return InvalidInput("A quota is a number of MB such as 500; 0 is none.", code="INVALID_QUOTA")


def _enabled(cell: str) -> bool:
    word = unicodedata.normalize("NFKC", cell).casefold()
    if not (YES.fullmatch(word) or NO.fullmatch(word)):
        raise InvalidInput("Write true or false.", code="INVALID_INPUT")
    return YES.fullmatch(word) is not None


def _aliases(cell: str) -> tuple[str, ...]:
    parts = re.split(r"[;,\s，、；]+", cell)
    return tuple(dict.fromkeys(addresses.normalise_alias(unguard(part)) for part in parts if part))


def _parsers(rules: PasswordRules | None) -> dict[str, Parser]:
    return {
        "email": ("address", addresses.normalise),
        "password": ("password", partial(_password, rules)),
        "password_hash": ("password_hash", lambda cell: check_hash(cell.strip()) if cell.strip() else None),
        "display_name": ("display_name", check_display_name),
        "quota_mb": ("quota_bytes", _quota_bytes),
        "aliases": ("aliases", _aliases),
        "enabled": ("enabled", _enabled),
    }


def _unreadable(message: str) -> InvalidInput:
    return InvalidInput(message, code="CSV_UNREADABLE")


def guard(cell: str) -> str:
    """A cell that no spreadsheet runs as a formula; `unguard` gives it back."""
    return "'" + cell if FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
