"""Old records may be moved to a file: from the checkpoint on, the chain goes on as before"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ARCHIVED = "(SELECT coalesce(max(seq), 0) FROM audit_checkpoint)"
# A record may go when it is finished and no link of it stands behind the checkpoint.
GONE_ALLOWED = f"""old.status <> 'PENDING' AND {ARCHIVED} > 0 AND NOT EXISTS
    (SELECT 1 FROM audit_link WHERE log_uid = old.uid AND seq > {ARCHIVED})"""

SQLITE = [
    "DROP TRIGGER provision_log_kept",
    f"CREATE TRIGGER provision_log_kept BEFORE DELETE ON provision_log WHEN NOT ({GONE_ALLOWED}) "
    "BEGIN SELECT RAISE(ABORT, 'a record is never removed'); END",
    "DROP TRIGGER audit_link_kept",
    f"CREATE TRIGGER audit_link_kept BEFORE DELETE ON audit_link WHEN old.seq > {ARCHIVED} "
    "BEGIN SELECT RAISE(ABORT, 'a link is never removed'); END",
    "CREATE TRIGGER audit_checkpoint_fixed BEFORE UPDATE ON audit_checkpoint "
    "BEGIN SELECT RAISE(ABORT, 'a checkpoint is never changed'); END",
    "CREATE TRIGGER audit_checkpoint_kept BEFORE DELETE ON audit_checkpoint "
    "BEGIN SELECT RAISE(ABORT, 'a checkpoint is never removed'); END",
]

POSTGRESQL = [
    f"""CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {GONE_ALLOWED} THEN RETURN old; END IF;
        RAISE EXCEPTION 'a record is never removed'; END $$""",
    f"""CREATE FUNCTION refuse_link_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF old.seq <= {ARCHIVED} THEN RETURN old; END IF;
        RAISE EXCEPTION 'a link is never removed'; END $$""",
    "DROP TRIGGER provision_log_kept ON provision_log",
    "CREATE TRIGGER provision_log_kept BEFORE DELETE ON provision_log FOR EACH ROW EXECUTE FUNCTION refuse_removal()",
    "DROP TRIGGER audit_link_fixed ON audit_link",
    "CREATE TRIGGER audit_link_fixed BEFORE UPDATE ON audit_link FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER audit_link_kept BEFORE DELETE ON audit_link FOR EACH ROW EXECUTE FUNCTION refuse_link_removal()",
    "CREATE TRIGGER audit_checkpoint_fixed BEFORE UPDATE OR DELETE ON audit_checkpoint "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER audit_checkpoint_not_emptied BEFORE TRUNCATE ON audit_checkpoint EXECUTE FUNCTION refuse_change()",
]


def upgrade() -> None:
    op.create_table(
        "audit_checkpoint",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_checkpoint")),
    )
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
