"""What is not known counts as the least, also on PostgreSQL, whose indexes have to say so"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = ("used_bytes", "used_percent", "last_synced_at")


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for column in COLUMNS:
        name = f"ix_mailbox_present_{column}"
        op.execute(f"DROP INDEX {name}")
        op.execute(f"CREATE INDEX {name} ON mailbox ({column} NULLS FIRST, id) WHERE status <> 'DELETED'")
