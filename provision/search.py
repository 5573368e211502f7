"""Find mailboxes by a part of address or name: FTS5 trigrams on SQLite, pg_trgm on PostgreSQL.

Trigrams need three characters; shorter searches match the beginning of address or name.
"""

from sqlalchemy import ColumnElement, Text, bindparam, literal_column, or_, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from provision.models import Mailbox

TRIGRAM = 3
LAST = "\U0010ffff"


def matches(session: Session, needle: str) -> ColumnElement[bool]:
    """Condition for `needle`, in lower case."""
    if len(needle) < TRIGRAM:
        return or_(
            _begins(Mailbox.address, needle),
            _begins(Mailbox.display_name, needle),
            _begins(Mailbox.display_name, needle.capitalize()),
        )
    if session.get_bind().dialect.name == "sqlite":
        phrase = '"' + needle.replace('"', '""') + '"'
        found = text("SELECT rowid FROM mailbox_search WHERE mailbox_search MATCH :phrase").bindparams(
            bindparam("phrase", phrase)
        )
        return Mailbox.id.in_(found.columns(Mailbox.id))
    pattern = "%" + needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    searched = literal_column("(mailbox.address || ' ' || lower(mailbox.display_name))", Text)
    return searched.like(pattern)


def _begins(column: InstrumentedAttribute[str], needle: str) -> ColumnElement[bool]:
    return column.between(needle, needle + LAST)
