"""Mailboxes as CSV: import, export, template."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from provision.cli.output import Json, OfDomain, OfSync, cell, say, say_json, size, table
from provision.cli.session import Code, Session, session_of
from provision.core.columns import Column
from provision.queries import MailboxFilter
from provision.storage.models import Status
from provision.transfer import csv_io
from provision.transfer.csv_io import (
    ImportResult,
    changes_of,
    export_csv,
    import_csv,
    passwords_csv,
    plan_import,
    rejected_csv,
    write_secret,
)
from provision.transfer.csv_reader import MAX_BYTES, Encoding, Reading, reading_of

SHOWN = 50
PLANNED = (
    Column("address", "would be created"),
    Column("name", value="display_name"),
    Column("quota", value=lambda new: "default" if new.quota_bytes is None else size(new.quota_bytes)),
    Column("aliases"),
    Column("login", value="enabled"),
)
CHANGES = (Column("address", "differs"), Column("what"), Column("before"), Column("after"))
app = typer.Typer(no_args_is_help=True)


CsvFile = Annotated[Path, typer.Argument(help="The file; - is stdin.")]
OutFile = Annotated[Path, typer.Argument(help="The file to write; - is stdout.")]
Excel = Annotated[bool, typer.Option("--excel", help="With the mark by which Excel knows UTF-8.")]
Map = Annotated[
    list[str] | None, typer.Option("--map", help="Which column is what, as email=Mail; may be given several times.")
]
NewPasswords = Annotated[
    Path | None, typer.Option("--new-passwords", help="Make a password where a row has none, and write them there.")
]
Update = Annotated[
    bool, typer.Option("--update", help="Change name, quota and login of mailboxes that exist; empty cells nothing.")
]
SetPasswords = Annotated[
    bool, typer.Option("--set-passwords", help="With --update: also their passwords, where a row has one.")
]
Encoded = Annotated[
    Encoding | None, typer.Option("--encoding", help="What a file is in that is neither UTF-8 nor UTF-16.")
]


@app.command("import")
def import_(
    context: typer.Context,
    file: CsvFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    rejected: Annotated[
        Path | None, typer.Option("--rejected", help="Write refused rows there, to be corrected.")
    ] = None,
    columns: Map = None,
    made: NewPasswords = None,
    update: Update = False,
    set_passwords: SetPasswords = False,
    encoding: Encoded = None,
    as_json: Json = False,
) -> int:
    """Create a mailbox for every good row; exit code 1 if any row was refused."""
    session = session_of(context)
    data = read_file(file)
    how = {"passwords": made is not None, "update": update, "set_passwords": set_passwords}
    reading = reading_of(data, encoding, columns or [], **how)
    if made and not dry_run:
        write_secret(made, passwords_csv({}))  # where they cannot be written nothing is made
    result = _run(session, data, reading, dry_run)
    if rejected and result.errors:
        write_secret(rejected, rejected_csv(result))
    if made and result.passwords:
        write_secret(made, passwords_csv(result.passwords))
    touched = [] if dry_run else [*result.created, *(one.uid for one in result.updated)]
    unsynced = session.app.queries.unsynced_count(session.actor, touched) if touched else 0
    if as_json:
        say_json({**_summary(result, dry_run), "waiting": unsynced})
    else:
        _show(result, dry_run, rejected, unsynced)
        if made and result.passwords:
            say(f"{len(result.passwords):,} new passwords are in {made}; give them to their owners.")
    if result.errors:
        return Code.REFUSED
    return Code.WAITING if unsynced else Code.DONE


def _run(session: Session, data: bytes, reading: Reading, dry_run: bool) -> ImportResult:
    if dry_run:
        return plan_import(session.app, session.actor, data, reading)
    progress: dict[str, Any] = {"progress": _show_progress} if sys.stderr.isatty() else {}
    return import_csv(session.app, session.actor, data, reading=reading, **progress)


@app.command()
def export(
    context: typer.Context,
    file: OutFile = Path("-"),
    search: Annotated[str, typer.Option("--search", help="Parts of the address or name, in any order.")] = "",
    domain: OfDomain = None,
    status: Annotated[Status | None, typer.Option("--status", help="In this state.")] = None,
    sync_status: OfSync = None,
    excel: Excel = False,
) -> int:
    """Write the mailboxes as CSV, never with passwords or hashes."""
    session = session_of(context)
    where = MailboxFilter(search, domain, status, sync_status)
    lines = export_csv(session.app, session.actor, where, excel=excel)
    return write_lines(file, lines)


def write_lines(file: Path, lines: Iterable[str]) -> int:
    """An export; `-` is stdout."""
    if file == Path("-"):
        sys.stdout.writelines(lines)
        return Code.DONE
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(lines)
    return Code.DONE


@app.command()
def template() -> int:
    """Print a file to fill in."""
    sys.stdout.write(csv_io.template())
    return Code.DONE


def read_file(file: Path) -> bytes:
    """No more than the limit and a byte, so that a huge file is refused and not read."""
    if file == Path("-"):
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with file.open("rb") as source:
        return source.read(MAX_BYTES + 1)


def _show(result: ImportResult, dry_run: bool, rejected: Path | None, unsynced: int) -> None:
    if dry_run and result.accepted:
        table(PLANNED, result.accepted[:SHOWN])
        _more(len(result.accepted))
    if result.updated:
        table(CHANGES, changes_of(result)[:SHOWN])
        _more(len(changes_of(result)))
    for error in result.errors[:SHOWN]:
        say(cell(error))
    _more(len(result.errors))
    if result.left_out:
        say(f"Left out: {', '.join(map(cell, result.left_out))}")
    for warning in result.warnings:
        say(f"Warning: {cell(warning)}")
    done = f"{len(result.accepted):,} would be created" if dry_run else f"{len(result.created):,} created"
    existing = f", {len(result.updated):,} {'would be ' if dry_run else ''}updated, {result.unchanged:,} unchanged"
    say(f"{done}{existing if result.updated or result.unchanged else ''}, {len(result.rejected):,} rows refused.")
    if rejected and result.errors:
        say(f"The refused rows are in {rejected}, with their passwords; correct them and import that file.")
    if unsynced:
        say(f"{unsynced:,} of what was changed wait for their mail server. Why: python -m provision sync status")


def _more(number: int) -> None:
    if number > SHOWN:
        say(f"… and {number - SHOWN:,} more; --json shows all.")


def _summary(result: ImportResult, dry_run: bool) -> dict[str, object]:
    errors = [{"row": e.number, "column": e.column, "code": e.code, "message": e.message} for e in result.errors]
    return {
        "dry_run": dry_run,
        "accepted": [new.address for new in result.accepted],
        "created": list(map(str, result.created)),
        "refused_rows": len(result.rejected),
        "errors": errors,
        "warnings": list(result.warnings),
        "left_out": list(result.left_out),
        "updated": [{"address": one.address, **one.values} for one in result.updated],
        "unchanged": result.unchanged,
    }


def _show_progress(done: int, of: int) -> None:
    print(f"\r{done:,} of {of:,} passwords", end="\n" if done == of else "", file=sys.stderr, flush=True)
