"""Mailboxes as CSV: import with a dry run and a file of rejected rows, and export.

Columns: email, password or password_hash, display_name, quota_mb, aliases (separated by `;`, `,` or blanks), enabled.
A cell that a spreadsheet would run as a formula is exported with a leading `'`, which the import takes off again
(never from a password). How a file is read: `provision.transfer.csv_reader`.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from provision.app import Postroom
from provision.core.access import Actor, Permission
from provision.core.columns import Column
from provision.core.errors import AccessDenied, ProvisionError
from provision.core.passwords import generate_password
from provision.core.secret import Secret
from provision.queries import LogFilter, MailboxFilter
from provision.services.bulk import Foreign, ItemError, UpdateResult
from provision.services.new_mailbox import NewMailbox
from provision.services.updating import Difference, Wanted
from provision.storage.models import Status
from provision.transfer.cells import MB, guard
from provision.transfer.csv_reader import ERROR, Reading, Row, RowError, Sheet, read_rows
from provision.transfer.mapping import COLUMNS, as_ours

Progress = Callable[[int, int], None]
BOM = "\ufeff"
EXISTS = ("DUPLICATE_MAILBOX", "PASSWORD_NEEDED", "WEAK_PASSWORD")  # refusals of a new mailbox, of one that may exist


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or in a dry run would do (then `created` is empty).

    `passwords`: of those that were made, by address; this once only. `left_out`: headings of columns that are not used.
    `updated`: what was, or in a dry run would be, changed of mailboxes that exist; `unchanged`: how many are so.
    """

    columns: tuple[str, ...]
    accepted: Sequence[NewMailbox]
    created: Sequence[UUID]
    errors: Sequence[RowError]
    warnings: Sequence[str] = ()
    passwords: Mapping[str, Secret] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    updated: Sequence[Difference] = ()
    unchanged: int = 0
    again: bool = False  # it was done by an earlier call with the same key

    @property
    def rejected(self) -> list[Row]:
        """The refused rows, each once, in the order of the file."""
        return list({error.number: error.row for error in self.errors}.values())


# ---- importing -----------------------------------------------------------------------------


def plan_import(app: Postroom, actor: Actor, data: bytes, reading: Reading = Reading()) -> ImportResult:
    """A dry run: what would be created, and what refused and why. Raises: InvalidInput, AccessDenied."""
    return _import(app, actor, data, reading, dry_run=True)


def import_csv(
    app: Postroom,
    actor: Actor,
    data: bytes,
    progress: Progress = lambda done, of: None,
    *,
    reading: Reading = Reading(),
    idempotency_key: str | None = None,
) -> ImportResult:
    """Create the mailboxes of all good rows, a thousand to a transaction (with an idempotency key: all), with one push.

    A row whose mailbox exists already is refused as DUPLICATE_MAILBOX, even if it asks for just what is there.
    `progress(done, of)` counts hashed passwords, which is where the time goes. Raises: InvalidInput, AccessDenied.
    """
    return _import(app, actor, data, reading, progress=progress, idempotency_key=idempotency_key)


def _import(app: Postroom, actor: Actor, data: bytes, reading: Reading, **how: Any) -> ImportResult:
    sheet = read_rows(data, app.services.policy.now().passwords, reading)
    passwords = new_passwords(app, sheet) if reading.passwords else {}
    result = import_sheet(app, actor, sheet, reading, passwords, **how)
    return replace(result, passwords={}) if result.again else result  # those of the earlier call are known to nobody


def new_passwords(app: Postroom, sheet: Sheet) -> dict[int, Secret]:
    """One for each row that has none, by the number of the row."""
    rules = app.services.policy.now().passwords
    both = zip(sheet.rows, sheet.news, strict=True)
    return {row.number: generate_password(rules) for row, new in both if not (new.password or new.password_hash)}


def import_sheet(
    app: Postroom,
    actor: Actor,
    sheet: Sheet,
    reading: Reading = Reading(),
    passwords: Mapping[int, Secret] = {},
    **how: Any,
) -> ImportResult:
    """The good rows of a sheet that was read, with new passwords for those; `how` is for `services.bulk.create`."""
    news = [
        replace(new, password=passwords[row.number]) if row.number in passwords else new
        for row, new in zip(sheet.rows, sheet.news, strict=True)
    ]
    bulk = app.services.bulk.create(actor, news, foreign=_foreign(app, actor), **how)
    refused = {item.index: item for item in bulk.errors}
    good = [index for index in range(len(news)) if index not in refused]
    updates = _update(app, actor, sheet, reading, bulk.errors, how)
    for change in (*updates.changed, *updates.unchanged):
        del refused[change.index]
    refused |= {item.index: item for item in updates.errors}
    errors = [*sheet.errors, *(_row_error(sheet, item) for item in refused.values())]
    made = {} if how.get("dry_run") else {index: passwords.get(sheet.rows[index].number) for index in good}
    return ImportResult(
        sheet.columns,
        [news[index] for index in good],
        bulk.done,
        sorted(errors, key=lambda error: error.number),
        app.queries.mailboxes_warnings(actor, [news[index].address for index in good]),
        {news[index].address: password for index, password in made.items() if password},
        sheet.left_out,
        updates.changed,
        len(updates.unchanged),
        bulk.again,
    )


def changes_of(result: ImportResult) -> list[dict[str, Any]]:
    """For a table: one line for each value that is, or would be, other than before."""
    return [
        {"address": one.address, "what": name, "before": before, "after": after}
        for one in result.updated
        for name, (before, after) in one.values.items()
    ]


def _update(
    app: Postroom, actor: Actor, sheet: Sheet, reading: Reading, refused: Sequence[ItemError], how: Mapping[str, Any]
) -> UpdateResult:
    """Of the rows that make no new mailbox those whose mailbox exists. Their `index` is that of the row."""
    is_own = app.queries.own(actor)
    may_exist = [item.index for item in refused if reading.update and item.error.code in EXISTS]
    items = [index for index in may_exist if is_own(sheet.news[index].address)]
    if not items:
        return UpdateResult()
    wanted = [_wanted(sheet.rows[index], sheet.news[index], reading) for index in items]
    found = app.services.bulk.update(actor, wanted, **{name: how[name] for name in ("dry_run", "push") if name in how})
    return UpdateResult(
        [replace(change, index=items[change.index]) for change in found.changed],
        [replace(same, index=items[same.index]) for same in found.unchanged],
        [replace(error, index=items[error.index]) for error in found.errors],
    )


def _wanted(row: Row, new: NewMailbox, reading: Reading) -> Wanted:
    """What its cells say; an empty one says nothing."""
    cells = as_ours(row.cells)
    return Wanted(
        new.address,
        new.display_name if cells["display_name"].strip() else None,
        new.quota_bytes,
        new.enabled if cells["enabled"].strip() else None,
        new.password if reading.set_passwords else None,
        new.password_hash if reading.set_passwords else None,
    )


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


def _row_error(sheet: Sheet, item: ItemError) -> RowError:
    column = sheet.called(_column(item.error))
    return RowError(sheet.rows[item.index], column, item.error.code, item.error.message)


def _column(error: ProvisionError) -> str:
    """The column that a refusal is about."""
    if error.code in ("WEAK_PASSWORD", "PASSWORD_NEEDED"):
        return "password"
    return "aliases" if "alias" in error.details else "email"


def rejected_csv(result: ImportResult) -> str:
    """The refused rows as they were, with an `error` column in front: to be corrected and fed again.

    Holds the passwords of those rows; keep it where only its owner reads it (`write_secret`).
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
        writer.writerow([guard(" ".join(reasons[row.number])), *row.raw])
    return out.getvalue()


def passwords_csv(passwords: Mapping[str, Secret]) -> str:
    """Who gets which new password."""
    return "".join(csv_lines(NEW_PASSWORDS, [{"email": a, "password": p.reveal()} for a, p in passwords.items()]))


def write_secret(path: Path, text: str) -> None:
    """Into a file that only its owner may read; an older one is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline=""
    ) as file:
        file.write(text)


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


NEW_PASSWORDS = (Column("email"), Column("password"))


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
