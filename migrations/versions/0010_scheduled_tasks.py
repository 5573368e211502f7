"""Long work in one table; imports hand claims, progress and end over to it, and open ones go on"""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OPEN = sa.text("finished_at IS NULL")
# Whoever ran an import cannot write to it any more: it waits for the next process, at once.
IMPORTS = """
    INSERT INTO scheduled_task (kind, subject, payload, status, due_at, attempts, done, total, cancel_requested, error,
        created_at, updated_at, finished_at)
    SELECT 'import', uid, '{}', CASE status WHEN 'RUNNING' THEN 'WAITING' ELSE status END, created_at, 0, done, total,
        cancelling, error, created_at, updated_at, finished_at
    FROM import_job
"""
HANDED_OVER = ("status", "total", "done", "cancelling", "claim", "claims", "heartbeat_at", "finished_at", "error")
KEPT = timedelta(days=1)  # refused rows, with their passwords


def upgrade() -> None:
    task = _create_table()
    op.execute(IMPORTS)
    op.bulk_insert(task, [_forget(uid, finished_at) for uid, finished_at in op.get_bind().execute(_refused())])
    op.drop_index("ix_import_job_status", "import_job")
    with op.batch_alter_table("import_job") as batch:
        for column in HANDED_OVER:
            batch.drop_column(column)


def _create_table() -> sa.Table:
    task = op.create_table(
        "scheduled_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('WAITING', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')", name=op.f("ck_scheduled_task_status")
        ),
        sa.CheckConstraint("(status = 'RUNNING') = (owner IS NOT NULL)", name=op.f("ck_scheduled_task_owner")),
        sa.CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_scheduled_task_lease")),
        sa.CheckConstraint(
            "(status IN ('WAITING', 'RUNNING')) = (finished_at IS NULL)", name=op.f("ck_scheduled_task_finished")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_task")),
    )
    where = {"sqlite_where": OPEN, "postgresql_where": OPEN}
    op.create_index("ix_scheduled_task_open", "scheduled_task", ["kind", "subject"], unique=True, **where)
    op.create_index("ix_scheduled_task_due", "scheduled_task", ["due_at"], **where)
    op.create_index("ix_scheduled_task_subject", "scheduled_task", ["subject"])
    return task


def _refused() -> sa.Select:
    job = sa.table(
        "import_job",
        sa.column("uid", sa.Uuid()),
        sa.column("finished_at", sa.DateTime(timezone=True)),
        sa.column("sealed_rejected"),
    )
    return sa.select(job.c.uid, job.c.finished_at).where(job.c.sealed_rejected.is_not(None))


def _forget(uid, finished_at) -> dict:
    """The task that erases them."""
    common = {"kind": "import.forget", "subject": uid, "payload": {}, "status": "WAITING", "attempts": 0}
    times = {"due_at": finished_at + KEPT, "created_at": finished_at, "updated_at": finished_at}
    return {**common, **times, "done": 0, "total": 0, "cancel_requested": False}
