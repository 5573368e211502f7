"""A CSV file as it is read: what each row asks for, and what is wrong with it.

Cells are text: nothing is guessed, so `NA`, `null` and `007` stay what they are.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
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
REST = "\0rest"  # no column can be called so: NUL is refused before
MB = 1 << 20
FORMULA = re.compile(r"'*[=+\-@\t\r]")
QUOTA = re.compile(r"[0-9]{1,10}(\.[0-9]{1,20})?")
YES, NO = ("", "true", "yes", "1", "enabled"), ("false", "no", "0", "disabled")
Parser = tuple[str, Callable[[str], Any]]  # what it is of NewMailbox, and how a cell becomes that


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


def read_rows(data: bytes, rules: PasswordRules | None) -> Sheet:
    """Read a file. What is wrong with a row is in `errors`; what is wrong with the whole file raises InvalidInput.

    Without `rules` what comes of it depends on the file alone; its passwords are then checked where they are used.
    """
    text = _decode(data)
    reader = csv.DictReader(
        io.StringIO(text, newline=""), strict=True, restkey=REST, restval=None, delimiter=_delimiter(text)
    )
    try:
        columns = _columns(reader.fieldnames or [])
        reader.fieldnames = columns
        parsers = _parsers(rules)
        sheet = Sheet(tuple(name for name in columns if name != ERROR))
        for count, cells in enumerate(reader):
            if count == MAX_ROWS:
                raise _unreadable(f"The file has more than {MAX_ROWS:,} rows; split it.")
            _read_row(sheet, columns, cells, reader.line_num, parsers)
    except csv.Error as error:
        raise _unreadable(f"Near row {reader.line_num} the quotes do not add up ({error}). Nothing was read.") from None
    return sheet


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _unreadable(f"The file is larger than {MAX_BYTES >> 20} MB; split it.")
    if data.startswith(b"PK\x03\x04"):
        raise _unreadable("This is a spreadsheet or archive; save it as “CSV UTF-8” and import that.")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise _unreadable("The file is not in UTF-8; save it as “CSV UTF-8” and import that.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _unreadable(f"Row {line} holds a NUL character: this is no text; save it as “CSV UTF-8”.")
    return text


def _delimiter(text: str) -> str:
    """Spreadsheets in some languages write `;` or tabs; the header says which."""
    header = text.partition("\n")[0]
    return next((mark for mark in ",;\t" if mark in header), ",")


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
    breaks = sum(len(re.findall(r"\r\n|\r|\n", cell)) for cell in (*fields, *rest))
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
    size = Decimal(cell) * MB if QUOTA.fullmatch(cell) else None
    if size is None or size != int(size):
        raise InvalidInput("A quota is a number of MB such as 500; 0 is none.", code="INVALID_QUOTA")
    return check_quota(int(size))


def _enabled(cell: str) -> bool:
    if cell.lower() not in YES + NO:
        raise InvalidInput("Write true or false.", code="INVALID_INPUT")
    return cell.lower() in YES


def _aliases(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(addresses.normalise_alias(unguard(part)) for part in re.split(r"[;\s]+", cell) if part))


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
