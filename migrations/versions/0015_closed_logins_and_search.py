"""A soft delete closes the login; mailboxes are searched in one form of their letters.

Of what was soft-deleted before, the account stays as it is until a person acts.
"""

import sqlalchemy as sa
from alembic import op

from provision.storage.models.mail import search_text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PART = 5_000
MAILBOX = sa.table("mailbox", *map(sa.column, ("id", "address", "display_name", "status", "removing", "searched")))
MAILBOX.append_column(sa.column("login_open", sa.Boolean()))
# A search compares while it walks along the addresses.
WALKED = "CREATE INDEX ix_mailbox_present_address ON mailbox (address, id, searched) WHERE status <> 'DELETED'"
SQLITE = [
    "DROP TRIGGER mailbox_search_insert",
    "DROP TRIGGER mailbox_search_delete",
    "DROP TRIGGER mailbox_search_update",
    "DROP TABLE mailbox_search",
    "CREATE VIRTUAL TABLE mailbox_search USING fts5(searched, content='mailbox', content_rowid='id', "
    "tokenize='trigram')",
    "INSERT INTO mailbox_search(mailbox_search) VALUES ('rebuild')",
    """CREATE TRIGGER mailbox_search_insert AFTER INSERT ON mailbox BEGIN
        INSERT INTO mailbox_search(rowid, searched) VALUES (new.id, new.searched);
    END""",
    """CREATE TRIGGER mailbox_search_delete AFTER DELETE ON mailbox BEGIN
        INSERT INTO mailbox_search(mailbox_search, rowid, searched) VALUES ('delete', old.id, old.searched);
    END""",
    """CREATE TRIGGER mailbox_search_update AFTER UPDATE OF searched ON mailbox BEGIN
        INSERT INTO mailbox_search(mailbox_search, rowid, searched) VALUES ('delete', old.id, old.searched);
        INSERT INTO mailbox_search(rowid, searched) VALUES (new.id, new.searched);
    END""",
]
POSTGRESQL = [
    "DROP INDEX ix_mailbox_search",
    "CREATE INDEX ix_mailbox_search ON mailbox USING gin (searched gin_trgm_ops)",
]


def upgrade() -> None:
    op.add_column("mailbox", sa.Column("login_open", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("mailbox", sa.Column("searched", sa.Text(), nullable=False, server_default=""))
    kept = sa.and_(MAILBOX.c.status == "DELETED", MAILBOX.c.removing == sa.false())
    op.execute(MAILBOX.update().where(kept).values(login_open=sa.true()))
    _fill()
    op.drop_index("ix_mailbox_present_address", table_name="mailbox")
    op.execute(WALKED)
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def _fill() -> None:
    """In parts, by id: there may be 100,000."""
    bind, last = op.get_bind(), 0
    found = sa.select(MAILBOX.c.id, MAILBOX.c.address, MAILBOX.c.display_name).order_by(MAILBOX.c.id).limit(PART)
    change = MAILBOX.update().where(MAILBOX.c.id == sa.bindparam("row")).values(searched=sa.bindparam("text"))
    while rows := bind.execute(found.where(MAILBOX.c.id > last)).all():
        bind.execute(change, [{"row": id, "text": search_text(address, name)} for id, address, name in rows])
        last = rows[-1].id
