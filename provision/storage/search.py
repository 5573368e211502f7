"""Find mailboxes by parts of address and name: FTS5 trigrams on SQLite, pg_trgm on PostgreSQL.

Trigrams need three characters: shorter words are looked for in what the longer ones have found, or row by row; a single
short one, as somebody begins to type, matches the beginning of the address.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Subquery, Text, and_, bindparam, or_, text
from sqlalchemy.orm import Session

from provision.core.letters import folded
from provision.storage.models import Alias, Mailbox

TRIGRAM = 3
MOST_WORDS = 100  # SQLite takes no expression of a thousand parts
FTS = "SELECT rowid AS id FROM mailbox_search WHERE mailbox_search MATCH :words"
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """The same rows in three forms. `walk`: compared row by row, quick where many match and a list's index gives the
    order. `within`: by the search index, quick where few match. `found`: their ids as a stream, to be counted."""

    walk: ColumnElement[bool]
    within: ColumnElement[bool]
    found: Subquery | None = None


def matches(session: Session, needle: str) -> Search:
    """The search for what somebody typed: every word of it, in any order."""
    words = list(dict.fromkeys(folded(without_nul(needle)).split()))[:MOST_WORDS]
    long = [word for word in words if len(word) >= TRIGRAM]
    if not long and "".join(words).isascii() and len(words) < 2:
        start = "".join(words)
        begins = Mailbox.address.between(start, start + LAST)
        return Search(begins, begins)
    compared = and_(*(Mailbox.searched.like(f"%{escaped(word)}%", escape="\\") for word in words))
    if session.get_bind().dialect.name != "sqlite" or not long:
        return Search(compared, compared)
    phrases = " AND ".join('"' + word.replace('"', '""') + '"' for word in long)
    ids = text(FTS).bindparams(bindparam("words", phrases)).columns(Mailbox.id)
    within = Mailbox.id.in_(ids)
    if len(long) < len(words):
        return Search(compared, and_(within, compared))
    return Search(compared, within, ids.subquery("found"))


def without_nul(text: str) -> str:
    """SQLite stops reading there, PostgreSQL refuses it; what it becomes stands nowhere."""
    return text.replace("\0", "\ufffd")


def escaped(pattern: str) -> str:
    """For LIKE."""
    return without_nul(pattern).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def leads_to(addresses: Iterable[str]) -> ColumnElement[bool]:
    """Aliases of which one of these, whole and in stored form, is a destination."""
    listed = Alias.destinations.cast(Text)
    return or_(*(listed.contains(f'"{address}"', autoescape=True) for address in addresses))
