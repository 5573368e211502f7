"""Find mailboxes by a part of address or name: FTS5 trigrams on SQLite, pg_trgm on PostgreSQL.

Trigrams need three characters; shorter searches match the beginning of the address.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Subquery, Text, bindparam, literal_column, or_, text
from sqlalchemy.orm import Session

from provision.core.address import as_stored
from provision.storage.models import Alias, Mailbox

TRIGRAM = 3
FTS = "SELECT rowid AS id FROM mailbox_search WHERE mailbox_search MATCH :phrase"
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """The same rows in three forms. `walk`: compared row by row, quick where many match and a list's index gives the
    order. `within`: by the search index, quick where few match. `found`: their ids as a stream, to be counted."""

    walk: ColumnElement[bool]
    within: ColumnElement[bool]
    found: Subquery | None = None


def matches(session: Session, needle: str) -> Search:
    """The search for `needle`, in lower case: in names as it is, in addresses also as domains are stored."""
    needle = without_nul(needle)
    spellings = [one for one in dict.fromkeys((needle, as_stored(needle))) if len(one) >= TRIGRAM]
    if not spellings:
        begins = Mailbox.address.between(needle, needle + LAST)
        return Search(begins, begins)
    whole = literal_column("(mailbox.address || ' ' || lower(mailbox.display_name))", Text)
    compared = or_(*(whole.like(f"%{escaped(one)}%", escape="\\") for one in spellings))
    if session.get_bind().dialect.name != "sqlite":
        return Search(compared, compared)
    phrase = " OR ".join('"' + one.replace('"', '""') + '"' for one in spellings)
    ids = text(FTS).bindparams(bindparam("phrase", phrase)).columns(Mailbox.id)
    return Search(compared, Mailbox.id.in_(ids), ids.subquery("found"))


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
