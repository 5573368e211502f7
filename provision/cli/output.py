"""How results look: tables and sentences for people, JSON for machines."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.cli.session import Code
from provision.core.columns import Column
from provision.core.errors import InvalidInput
from provision.core.letters import is_visible
from provision.queries import Page
from provision.storage.models import SyncStatus

MAX_DAYS = 36_500  # a hundred years: beyond it is a slip
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
OfDomain = Annotated[str | None, typer.Option("--domain", help="Of this domain.")]
OfSync = Annotated[SyncStatus | None, typer.Option("--sync-status", help="How far they are.")]
Number = Annotated[int, typer.Option("--page", min=1, help="Which page.")]
Size = Annotated[int, typer.Option("--size", min=1, max=1000, help="Rows of a page.")]
UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def say(*lines: str) -> None:
    for line in lines:
        print(line)


def say_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def tell(as_json: bool, value: Any, *lines: str, code: Code = Code.DONE) -> Code:
    """What came of a command: `value` for machines or `lines` for people."""
    say_json(value) if as_json else say(*lines)
    return code


def table(columns: Sequence[Column], rows: Iterable[Any], empty: str = "There is nothing to show.") -> None:
    """A plain table; `empty` where there are no rows."""
    found = [[column.of(row) for column in columns] for row in rows]
    if not found:
        return say(empty)
    kept = [n for n, column in enumerate(columns) if not column.optional or any(row[n] is not None for row in found)]
    columns, body = [columns[n] for n in kept], [[cell(row[n]) for n in kept] for row in found]
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column.label or column.name, no_wrap=not sys.stdout.isatty(), overflow="fold")
    for values in body:
        grid.add_row(*map(Text, values))
    console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as captured:
        console.print(grid)
    say(*(line.rstrip() for line in captured.get().splitlines()))


def card(facts: Mapping[str, Any]) -> None:
    """One thing: a fact a line, those that are not known left out."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value not in (None, "", []):
            say(f"{name:{width}}  {cell(value)}")


def cell(value: Any) -> str:
    """As people read it: times in UTC to the second, nothing that a terminal would obey."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return "".join(c if is_visible(c) else " " for c in str(value))


def pages(page: Page[Any]) -> None:
    """Where the list goes on."""
    if page.pages > 1:
        total = f"more than {page.total:,}" if page.capped else f"{page.total:,} in all"
        say(f"Page {page.number} of {page.pages}, {total}; more with --page.")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not for machines")


# ---- sizes ---------------------------------------------------------------------------------


def parse_size(text: str) -> int:
    """`500M`, `2G`, `1T`, `0`: bytes, 1024 to the next unit. Raises: InvalidInput."""
    number, unit = text.strip().upper()[:-1], text.strip().upper()[-1:]
    if text.strip() == "0":
        return 0
    if unit not in UNITS or not (number.isascii() and number.isdigit() and len(number) <= 15):
        raise InvalidInput(f"“{text}” is no size; write 500M, 2G, 1T, or 0 for no limit.", code="INVALID_QUOTA")
    return int(number) * UNITS[unit]


def size(amount: int | None) -> str:
    """Exact: the largest unit that fits evenly."""
    if amount is None:
        return "-"
    if amount == 0:
        return "none"
    unit = next(name for name in reversed(UNITS) if amount % UNITS[name] == 0)
    return f"{amount // UNITS[unit]}{unit}"


def used(amount: int | None) -> str:
    """Rounded, one decimal."""
    if amount is None:
        return "-"
    unit = next((name for name in reversed(UNITS) if amount >= UNITS[name]), "B")
    return f"{amount / UNITS[unit]:.1f}".removesuffix(".0") + unit
