"""Find mailboxes by a part of address or name: FTS5 trigrams on SQLite, pg_trgm on PostgreSQL.

Trigrams need three characters; shorter searches match the beginning of the address.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Subquery, Text, bindparam, literal_column, text
from sqlalchemy.orm import Session

from provision.models import Mailbox

TRIGRAM = 3
MANY = 2_000
FTS = "SELECT rowid AS id FROM mailbox_search WHERE mailbox_search MATCH :phrase"
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """`where`: condition on mailboxes. `found`: their ids as a stream, by which the rows are counted more quickly."""

    where: ColumnElement[bool]
    found: Subquery | None = None


def matches(session: Session, needle: str) -> Search:
    """The search for `needle`, in lower case."""
    if len(needle) < TRIGRAM:
        return Search(Mailbox.address.between(needle, needle + LAST))
    pattern = "%" + needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    compared = literal_column("(mailbox.address || ' ' || lower(mailbox.display_name))", Text).like(
        pattern, escape="\\"
    )
    if session.get_bind().dialect.name != "sqlite":
        return Search(compared)
    phrase = '"' + needle.replace('"', '""') + '"'
    ids = text(FTS).bindparams(bindparam("phrase", phrase)).columns(Mailbox.id)
    where = compared if _finds_many(session, phrase) else Mailbox.id.in_(ids)
    return Search(where, ids.subquery("found"))


def _finds_many(session: Session, phrase: str) -> bool:
    """Then walking the list's own index and comparing is quicker than sorting what the search found."""
    counted = text(f"SELECT count(*) FROM ({FTS} LIMIT {MANY})").bindparams(phrase=phrase)
    return bool(session.execute(counted).scalar_one() == MANY)
