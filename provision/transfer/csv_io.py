"""Mailboxes as CSV: import with a dry run and a file of rejected rows, and export.

Columns: email, password or password_hash, display_name, quota_mb, aliases (separated by `;`, `,` or blanks), enabled.
A cell that a spreadsheet would run as a formula is exported with a leading `'`, which the import takes off again
(never from a password). How a file is read: `provision.transfer.csv_reader`.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from provision.app import Postroom
from provision.core.access import Actor, Permission
from provision.core.columns import Column
from provision.core.errors import AccessDenied, ProvisionError
from provision.queries import LogFilter, MailboxFilter
from provision.services.bulk import Foreign
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Status
from provision.transfer.csv_reader import (
    COLUMNS,
    ERROR,
    MB,
    SECRET_COLUMNS,
    Encoding,
    Row,
    RowError,
    Sheet,
    guard,
    read_rows,
    unguard,
)

Progress = Callable[[int, int], None]
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or in a dry run would do (then `created` is empty)."""

    columns: tuple[str, ...]
    accepted: Sequence[NewMailbox]
    created: Sequence[UUID]
    errors: Sequence[RowError]
    warnings: Sequence[str] = ()

    @property
    def rejected(self) -> list[Row]:
        """The refused rows, each once, in the order of the file."""
        return list({error.number: error.row for error in self.errors}.values())


# ---- importing -----------------------------------------------------------------------------


def plan_import(app: Postroom, actor: Actor, data: bytes, encoding: Encoding | None = None) -> ImportResult:
    """A dry run: what would be created, and what refused and why. Raises: InvalidInput, AccessDenied."""
    return _import(app, actor, data, encoding, dry_run=True)


def import_csv(
    app: Postroom,
    actor: Actor,
    data: bytes,
    progress: Progress = lambda done, of: None,
    *,
    encoding: Encoding | None = None,
    idempotency_key: str | None = None,
) -> ImportResult:
    """Create the mailboxes of all good rows, a thousand to a transaction (with an idempotency key: all), with one push.

    A row whose mailbox exists already is refused as DUPLICATE_MAILBOX, even if it asks for just what is there.
    `progress(done, of)` counts hashed passwords, which is where the time goes. Raises: InvalidInput, AccessDenied.
    """
    return _import(app, actor, data, encoding, progress=progress, idempotency_key=idempotency_key)


def _import(app: Postroom, actor: Actor, data: bytes, encoding: Encoding | None, **how: Any) -> ImportResult:
    return import_sheet(app, actor, read_rows(data, app.services.policy.now().passwords, encoding), **how)


def import_sheet(app: Postroom, actor: Actor, sheet: Sheet, **how: Any) -> ImportResult:
    """The good rows of a sheet that was read; `how` is for `services.bulk.create`."""
    bulk = app.services.bulk.create(actor, sheet.news, foreign=_foreign(app, actor), **how)
    refused = {item.index for item in bulk.errors}
    errors = [
        *sheet.errors,
        *(RowError(sheet.rows[e.index], _column(e.error), e.error.code, e.error.message) for e in bulk.errors),
    ]
    accepted = [new for index, new in enumerate(sheet.news) if index not in refused]
    warnings = app.queries.mailboxes_warnings(actor, [new.address for new in accepted])
    return ImportResult(sheet.columns, accepted, bulk.done, sorted(errors, key=lambda error: error.number), warnings)


def _foreign(app: Postroom, actor: Actor) -> Foreign:
    """A DomainAdmin's rows outside their domains are refused one by one, so that the others can go on."""
    is_own = app.queries.own(actor)

    def reason(new: NewMailbox) -> AccessDenied | None:
        outside = [address for address in (new.address, *new.aliases) if not is_own(address)]
        if not outside:
            return None
        which = {} if outside[0] == new.address else {"alias": outside[0]}
        return AccessDenied(f"{outside[0]} is in a domain that is not yours.", **which)

    return reason


def _column(error: ProvisionError) -> str:
    """The column that a refusal is about."""
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


EXPORTED = (
    Column("email", value="address"),
    Column("display_name"),
    Column("quota_mb", value=lambda row: _in_mb(row["quota_bytes"])),
    Column("aliases", value=lambda row: ";".join(row["aliases"])),
    Column("enabled", value=lambda row: "true" if row["status"] == Status.ACTIVE else "false"),
)
LOG = [
    *map(Column, ("started_at", "operator", "ip", "operation", "resource_type", "resource_name", "status")),
    *map(Column, ("command", "exit_code", "error", "duration_ms", "uid")),
]


def export_csv(
    app: Postroom, actor: Actor, where: MailboxFilter = MailboxFilter(), *, excel: bool = False
) -> Iterator[str]:
    """The list line by line, never a password or hash. Raises (at once): AccessDenied.

    With a password column added it can be imported. `aliases` are those that lead to this mailbox alone.
    `excel`: begins with the mark without which Excel takes UTF-8 for something else and garbles names.
    """
    actor.require(Permission.MAILBOX_READ)
    return csv_lines(EXPORTED, app.queries.each_mailbox(actor, where), excel=excel)


def export_log_csv(app: Postroom, actor: Actor, where: LogFilter, *, excel: bool = False) -> Iterator[str]:
    """The provision log line by line. Raises (at once): AccessDenied."""
    actor.require(Permission.LOG_READ)
    return csv_lines(LOG, app.queries.each_log(actor, where), excel=excel)


def csv_lines(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], *, excel: bool = False) -> Iterator[str]:
    """The rows as lines of CSV, the header first; no cell is run by a spreadsheet."""
    writer = csv.writer(_Echo())
    yield (BOM if excel else "") + writer.writerow([column.name for column in columns])
    for row in rows:
        yield writer.writerow([guard(_text(column.of(row))) for column in columns])


def _text(value: object) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)


class _Echo:
    """What csv.writer writes, given back."""

    def write(self, line: str) -> str:
        return line


def _in_mb(quota_bytes: int) -> str:
    """Exact, also for no whole number of MB. Never three digits behind the point: `1.024` has two readings."""
    whole, rest = divmod(quota_bytes, MB)
    if not rest:
        return str(whole)
    fraction = f"{rest * 10**20 // MB:020d}".rstrip("0")
    return f"{whole}.{fraction}{'0' if len(fraction) == 3 else ''}"


def template() -> str:
    """A file to fill in: the header and one example."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerow(
        ["anna@example.com", "Change-Me-2nd", "", "Anna Example", "1024", "info@example.com;office@example.com", "true"]
    )
    return out.getvalue()
