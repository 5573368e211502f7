"""Aliases as CSV, with all their destinations: in with a dry run, and out.

Columns: alias, destinations (separated by `;`, `,` or blanks), mailbox (the one it is listed under; may be empty).
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from provision.app import Postroom
from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.columns import Column
from provision.core.errors import AccessDenied, InvalidInput
from provision.core.texts import N_
from provision.services.aliases import NewAlias
from provision.transfer.cells import guard, several, unguard
from provision.transfer.csv_io import csv_lines
from provision.transfer.csv_reader import Encoding, Row, RowError, broken, decode, open_rows
from provision.transfer.mapping import plain

MAX_ROWS = 2_000  # all of them are one transaction
HEADINGS = {
    "alias": ("alias", "address", "source", "alias address", "エイリアス", "别名"),
    "destinations": ("destinations", "destination", "goto", "target", "recipients", "forward to", "ziele", "転送先"),
    "mailbox": ("mailbox", "owner", "belongs to"),
}
EXPORTED = (
    Column("alias", value="address"),
    Column("destinations", value=lambda row: ";".join(row["destinations"])),
    Column("mailbox"),
)


@dataclass(frozen=True, slots=True)
class AliasImport:
    """What an import did, or in a dry run would do (then `created` is empty)."""

    accepted: Sequence[NewAlias]
    created: Sequence[UUID]
    errors: Sequence[RowError]


def export_aliases(
    app: Postroom, actor: Actor, search: str = "", domain: str | None = None, *, excel: bool = False
) -> Iterator[str]:
    """All aliases line by line. Raises (at once): AccessDenied."""
    actor.require(Permission.ALIAS_READ)
    return csv_lines(EXPORTED, app.queries.each_alias(actor, search=search, domain=domain), excel=excel)


def import_aliases(
    app: Postroom,
    actor: Actor,
    data: bytes,
    encoding: Encoding | None = None,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> AliasImport:
    """Make the aliases of all good rows, in one transaction and with one push. Raises: InvalidInput, AccessDenied."""
    rows, errors = _read(data, encoding)
    rows = _own(app, actor, rows, errors)
    news = [_new(row) for row in rows]
    bulk = app.services.aliases.create_many(actor, news, dry_run=dry_run, idempotency_key=idempotency_key)
    refused = {item.index for item in bulk.errors}
    errors += [RowError(rows[item.index], "", item.error.code, item.error.message) for item in bulk.errors]
    accepted = [new for index, new in enumerate(news) if index not in refused]
    return AliasImport(accepted, bulk.done, sorted(errors, key=lambda error: error.number))


def _own(app: Postroom, actor: Actor, rows: Sequence[Row], errors: list[RowError]) -> list[Row]:
    """A DomainAdmin's rows outside their domains are refused one by one, so that the others can go on."""
    is_own, own = app.queries.own(actor), []
    for row in rows:
        new = _new(row)
        names = filter(None, map(_stored, (new.address, new.mailbox or "")))
        if outside := next((name for name in names if not is_own(name)), None):
            denied = AccessDenied(f"{outside} is in a domain that is not yours.")
            errors.append(RowError(row, "", denied.code, denied.message))
        else:
            own.append(row)
    return own


def _stored(address: str) -> str:
    """As it is stored; empty where it is no address, which is said of it later."""
    try:
        return addresses.normalise_alias(address)
    except InvalidInput:
        return ""


def _new(row: Row) -> NewAlias:
    cells = {name: unguard(cell.strip()) for name, cell in row.cells.items()}
    destinations = [unguard(one) for one in several(cells["destinations"])]
    return NewAlias(cells["alias"], destinations, cells.get("mailbox") or None)


def _read(data: bytes, encoding: Encoding | None) -> tuple[list[Row], list[RowError]]:
    """The rows, and those that have too many or too few fields. Raises: InvalidInput."""
    reader, header, skipped = open_rows(decode(data, encoding))
    fields = _fields(header)
    rows: list[Row] = []
    errors: list[RowError] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row = Row(skipped + reader.line_num, dict(zip(fields, cells, strict=False)), tuple(map(guard, cells)))
            if len(cells) == len(fields):
                rows.append(row)
                continue
            message = N_(f"it has {len(cells)} fields, the header {len(fields)}; is a quote missing?")
            errors.append(RowError(row, "", "FIELD_COUNT", message))
    except csv.Error as error:
        raise broken(skipped + reader.line_num, error) from None
    if len(rows) > MAX_ROWS:
        raise InvalidInput(f"The file has more than {MAX_ROWS:,} rows; split it.", code="CSV_UNREADABLE")
    return rows, errors


def _fields(header: Sequence[str]) -> list[str]:
    """What each column is. Raises: InvalidInput."""
    known = {name: column for column, names in HEADINGS.items() for name in names}
    fields = [known.get(plain(heading), f"\0{number}") for number, heading in enumerate(header)]
    if fields.count("alias") != 1 or fields.count("destinations") != 1 or fields.count("mailbox") > 1:
        raise InvalidInput("The columns alias and destinations are needed, each once.", code="CSV_UNREADABLE")
    return fields
