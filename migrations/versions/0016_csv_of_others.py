"""How the file of an import is read, and the passwords that were made for its rows"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_job", sa.Column("sealed_passwords", sa.Text()))
    op.add_column("import_job", sa.Column("reading", sa.JSON()))
