"""A soft delete closes the login; of what was soft-deleted before, the account stays as it is until a person acts"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mailbox", sa.Column("login_open", sa.Boolean(), nullable=False, server_default=sa.false()))
    mailbox = sa.table("mailbox", sa.column("status"), sa.column("removing"), sa.column("login_open"))
    kept = sa.and_(mailbox.c.status == "DELETED", mailbox.c.removing == sa.false())
    op.execute(mailbox.update().where(kept).values(login_open=sa.true()))
