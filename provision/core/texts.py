"""The mark of a sentence that a page says in its reader's language. English here, in the database, the log, the API."""

from typing import TypeVar

T = TypeVar("T")


def N_(text: T) -> T:
    """A text, or a table whose values are texts: scripts/texts takes them into `webui/locale`. Errors need no mark."""
    return text
