"""What a creating call of many refused is kept with its key: the same call again gives the whole answer"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_key", sa.Column("refusals", sa.JSON(), nullable=False, server_default="[]"))
