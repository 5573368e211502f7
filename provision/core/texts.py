"""Sentences for people. English here, in the database, the log, the API; what N_ marks a page says in its language."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def N_(text: T) -> T:
    """A text, or a table whose values are texts: scripts/texts takes them into `webui/locale`. Errors need no mark."""
    return text


def first_few(names: Iterable[str], most: int = 3) -> tuple[str, int]:
    """The first of many names with commas between them, and how many more there are."""
    known = list(names)
    return ", ".join(known[:most]), max(0, len(known) - most)
