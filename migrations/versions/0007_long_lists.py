"""Indexes for long lists: aliases by owner, and the log of one kind of thing"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_alias_mailbox_id", table_name="alias")
    op.create_index("ix_alias_mailbox_id_address", "alias", ["mailbox_id", "address"])
    op.create_index("ix_provision_log_resource_type", "provision_log", ["resource_type", "id"])
