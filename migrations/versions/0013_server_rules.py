"""What else on a mail server decides over mail, as it was when last read"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("server", sa.Column("rules", sa.JSON(), nullable=False, server_default="[]"))
