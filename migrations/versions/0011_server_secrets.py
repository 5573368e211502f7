"""Secret settings of a mail server, sealed; and until when a server asked to be left alone"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("server", sa.Column("sealed_settings", sa.Text(), nullable=True))
    op.add_column("server", sa.Column("silent_until", sa.DateTime(timezone=True), nullable=True))
