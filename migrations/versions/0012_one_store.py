"""One store for calls that happen once: the API's answer stands with what the call made"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_key", sa.Column("request_mac", sa.String(64), nullable=True))
    op.add_column("idempotency_key", sa.Column("status", sa.Integer(), nullable=True))
    op.add_column("idempotency_key", sa.Column("sealed_body", sa.Text(), nullable=True))
    op.drop_table("api_answer")  # answers of the last day: what those calls made is found by its key all the same
