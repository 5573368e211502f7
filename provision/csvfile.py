"""Mailboxes as CSV: import with a dry run and a file of rejected rows, and export.

Columns: email, password or password_hash, display_name, quota_mb, aliases (separated by `;` or blanks), enabled.
Cells are text: nothing is guessed, so `NA`, `null` and `007` stay what they are. A cell that a spreadsheet would run
as a formula is exported with a leading `'`, which the import takes off again (never from a password).
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from provision import address as addresses
from provision.access import Actor, Permission
from provision.bootstrap import Postroom
from provision.errors import InvalidInput, ProvisionError
from provision.models import Status
from provision.passwords import PasswordRules, check_hash, check_password
from provision.provisioner import Provisioner
from provision.provisioner.base import check_display_name, check_quota
from provision.provisioner.newcomers import NewMailbox
from provision.queries import MailboxFilter
from provision.secret import Secret

MAX_BYTES = 20 << 20
MAX_ROWS = 50_000
COLUMNS = ("email", "password", "password_hash", "display_name", "quota_mb", "aliases", "enabled")
EXPORTED = ("email", "display_name", "quota_mb", "aliases", "enabled")
ERROR = "error"  # the column that a file of rejected rows has more; ignored when it is fed again
SECRET_COLUMNS = frozenset({"password", "password_hash"})
REST = "\0rest"  # no column can be called so: NUL is refused before
MB = 1 << 20
FORMULA = re.compile(r"'*[=+\-@\t\r]")
QUOTA = re.compile(r"[0-9]{1,10}(\.[0-9]{1,20})?")
YES, NO = ("", "true", "yes", "1", "enabled"), ("false", "no", "0", "disabled")
Progress = Callable[[int, int], None]
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


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or in a dry run would do (then `created` is empty)."""

    columns: tuple[str, ...]
    accepted: Sequence[NewMailbox]
    created: Sequence[UUID]
    errors: Sequence[RowError]

    @property
    def rejected(self) -> list[Row]:
        """The refused rows, each once, in the order of the file."""
        return list({error.number: error.row for error in self.errors}.values())


# ---- reading -------------------------------------------------------------------------------


def read_rows(data: bytes, rules: PasswordRules) -> Sheet:
    """Read a file. What is wrong with a row is in `errors`; what is wrong with the whole file raises InvalidInput."""
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
        message = f"it has {len(fields) + len(rest)} fields, the header {len(columns)}; is a quote missing?"
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
        errors.append(RowError(row, "password", "PASSWORD_NEEDED", "Give a password or a password_hash, not both."))
        wrong = True
    return None if wrong else NewMailbox(**found)


def _password(rules: PasswordRules, cell: str) -> Secret | None:
    if not cell:
        return None
    check_password(Secret(cell), rules)
    return Secret(cell)


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


def _parsers(rules: PasswordRules) -> dict[str, Parser]:
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


# ---- importing -----------------------------------------------------------------------------


def plan_import(app: Postroom, actor: Actor, data: bytes) -> ImportResult:
    """A dry run: what would be created, and what refused and why. Raises: InvalidInput, AccessDenied."""
    return _import(app, actor, data, dry_run=True)


def import_csv(
    app: Postroom, actor: Actor, data: bytes, progress: Progress | None = None, *, idempotency_key: str | None = None
) -> ImportResult:
    """Create the mailboxes of all good rows in one transaction and one push.

    A row whose mailbox exists already is refused as DUPLICATE_MAILBOX, even if it asks for just what is there.
    `progress(done, of)` counts hashed passwords, which is where the time goes. Raises: InvalidInput, AccessDenied.
    """
    return _import(app, actor, data, progress=progress, idempotency_key=idempotency_key)


def _import(app: Postroom, actor: Actor, data: bytes, **how: Any) -> ImportResult:
    return import_sheet(app, actor, read_rows(data, app.policy.now().passwords), app.provisioner, **how)


def import_sheet(app: Postroom, actor: Actor, sheet: Sheet, provisioner: Provisioner, **how: Any) -> ImportResult:
    """The good rows of a sheet that was read; `how` is for `create_mailboxes`."""
    _refuse_foreign(app, actor, sheet)
    bulk = provisioner.create_mailboxes(actor, sheet.news, **how)
    refused = {item.index for item in bulk.errors}
    errors = [
        *sheet.errors,
        *(RowError(sheet.rows[e.index], _column(e.error), e.error.code, e.error.message) for e in bulk.errors),
    ]
    accepted = [new for index, new in enumerate(sheet.news) if index not in refused]
    return ImportResult(sheet.columns, accepted, bulk.done, sorted(errors, key=lambda error: error.number))


def _refuse_foreign(app: Postroom, actor: Actor, sheet: Sheet) -> None:
    """A DomainAdmin's rows outside his domains are refused one by one, so that the others can go on."""
    if actor.domains is None or not actor.may(Permission.MAILBOX_WRITE):
        return
    own = {domain["name"] for domain in app.queries.domains(actor)}
    kept = []
    for row, new in zip(sheet.rows, sheet.news, strict=True):
        outside = [a for a in (new.address, *new.aliases) if addresses.domain_of(a) not in own]
        if outside:
            column = "email" if outside[0] == new.address else "aliases"
            message = f"{outside[0]} is in a domain that is not yours."
            sheet.errors.append(RowError(row, column, "INSUFFICIENT_PERMISSION", message))
        else:
            kept.append((row, new))
    sheet.rows, sheet.news = [row for row, _ in kept], [new for _, new in kept]


def _column(error: ProvisionError) -> str:
    """The column that a refusal of the Provisioner is about."""
    if error.code in ("WEAK_PASSWORD", "PASSWORD_NEEDED"):
        return "password"
    return "aliases" if "alias" in error.details else "email"


def rejected_csv(result: ImportResult) -> str:
    """The refused rows as they were, with an `error` column in front: to be corrected and fed again.

    Holds the passwords of those rows; keep it where only its owner reads it (`write_rejected`).
    """
    reasons: dict[int, list[str]] = {}
    for error in result.errors:
        reasons.setdefault(error.number, []).append(
            f"{error.column}: {error.message}" if error.column else error.message
        )
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([ERROR, *result.columns])
    for row in result.rejected:
        writer.writerow([guard(" ".join(reasons[row.number])), *_as_it_was(row, result.columns)])
    return out.getvalue()


def _as_it_was(row: Row, columns: Sequence[str]) -> Iterator[str]:
    """Its cells, guarded. Where fields are too many or too few nobody knows which is the password: left as they are."""
    if len(row.raw) != len(columns):
        yield from row.raw
        return
    for name, cell in zip(columns, row.raw, strict=True):
        yield cell if name in SECRET_COLUMNS else guard(unguard(cell))


def write_rejected(path: Path, result: ImportResult) -> None:
    """`rejected_csv` into a file that only its owner may read; an older one is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline=""
    ) as file:
        file.write(rejected_csv(result))


# ---- exporting -----------------------------------------------------------------------------


def export_csv(app: Postroom, actor: Actor, where: MailboxFilter = MailboxFilter()) -> Iterator[str]:
    """The list line by line, never a password or hash. Raises (at once): AccessDenied.

    With a password column added it can be imported. `aliases` are those that lead to this mailbox alone.
    """
    actor.require(Permission.MAILBOX_READ)
    return csv_lines(app.queries.each_mailbox(actor, where))


def csv_lines(mailboxes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Rows of `Queries.each_mailbox` as lines of CSV, the header first."""
    writer = csv.writer(_Echo())
    yield writer.writerow(EXPORTED)
    for row in mailboxes:
        enabled = "true" if row["status"] == Status.ACTIVE else "false"
        cells = (row["address"], row["display_name"], _in_mb(row["quota_bytes"]), ";".join(row["aliases"]), enabled)
        yield writer.writerow([guard(cell) for cell in cells])


class _Echo:
    """What csv.writer writes, given back."""

    def write(self, line: str) -> str:
        return line


def _in_mb(quota_bytes: int) -> str:
    """Exact, also for a quota that is no whole number of MB."""
    whole, rest = divmod(quota_bytes, MB)
    return f"{whole}.{rest * 10**20 // MB:020d}".rstrip("0") if rest else str(whole)


def guard(cell: str) -> str:
    """A cell that no spreadsheet runs as a formula; `unguard` gives it back."""
    return "'" + cell if FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def template() -> str:
    """A file to fill in: the header and one example."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerow(
        ["anna@example.com", "Change-Me-2nd", "", "Anna Example", "1024", "info@example.com;office@example.com", "true"]
    )
    return out.getvalue()
