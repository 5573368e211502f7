"""Rules that are set on the settings page; what is NULL is as the environment says"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    policy = op.create_table(
        "policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("password_min_length", sa.Integer(), nullable=True),
        sa.Column("password_max_length", sa.Integer(), nullable=True),
        sa.Column("password_classes", sa.Integer(), nullable=True),
        sa.Column("default_quota_mb", sa.BigInteger(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("retry_base_seconds", sa.Float(), nullable=True),
        sa.Column("retry_cap_seconds", sa.Float(), nullable=True),
        sa.Column("enable_auto_import", sa.Boolean(), nullable=True),
        sa.Column("auto_import_interval", sa.Integer(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_policy_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
    )
    op.bulk_insert(policy, [{"id": 1, "version": 1, "updated_at": datetime.now(UTC)}])
