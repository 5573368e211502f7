"""What was done: the log with its chain, calls that were answered, imports; and long work that is under way."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid6 import uuid7

from provision.storage.models.base import ASCII, Base, LogStatus, Row, TaskStatus, utc_now

OPEN = text("finished_at IS NULL")
CHECKPOINTS = text("phase = 'anchor'")


class ProvisionLog(Base):
    """One operation: who, what, and what came of it. A finished record never changes (database triggers)."""

    __tablename__ = "provision_log"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[UUID] = mapped_column(unique=True, default=uuid7)
    operator_id: Mapped[int | None] = mapped_column(Integer, index=True)  # no foreign key: records outlive people
    operator: Mapped[str] = mapped_column(String(80))
    ip: Mapped[str | None] = mapped_column(String(45))
    operation: Mapped[str] = mapped_column(String(40))
    resource_type: Mapped[str] = mapped_column(String(20))
    resource_id: Mapped[str | None] = mapped_column(String(36))
    resource_name: Mapped[str | None] = mapped_column(ASCII)
    domain: Mapped[str | None] = mapped_column(String(255), index=True)
    server_id: Mapped[int | None] = mapped_column(Integer)
    generation: Mapped[int | None]
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(8), default=LogStatus.PENDING)
    command: Mapped[str | None] = mapped_column(Text)
    exit_code: Mapped[int | None]
    stdout: Mapped[str | None] = mapped_column(Text)
    stderr: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]

    __table_args__ = (
        CheckConstraint("status IN ('PENDING', 'SUCCESS', 'FAILED')", name="status"),
        Index("ix_provision_log_resource", "resource_type", "resource_id", "status"),
        Index("ix_provision_log_resource_type", "resource_type", "id"),
        Index("ix_provision_log_started_at", "started_at"),
        Index("ix_provision_log_operation", "operation", "id"),
        Index("ix_provision_log_status", "status", "id"),
        Index("ix_provision_log_operator", "operator", "id"),
        Index("ix_provision_log_resource_name", "resource_name", "id"),
    )


class AuditLink(Base):
    """One link of the chain over the log: of a record's intent, attempt or outcome, or of the checkpoints; hashed with
    the link before it."""

    __tablename__ = "audit_link"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    phase: Mapped[str] = mapped_column(String(8))
    log_uid: Mapped[UUID] = mapped_column(index=True)  # of a checkpoint's link: of its own
    digest: Mapped[str] = mapped_column(String(64))  # of the record's fields of this phase
    hash: Mapped[str] = mapped_column(String(64))  # of this link and the hash before

    __table_args__ = (
        CheckConstraint("phase IN ('intent', 'attempt', 'outcome', 'anchor')", name="phase"),
        Index("ix_audit_link_checkpoint", "seq", sqlite_where=CHECKPOINTS, postgresql_where=CHECKPOINTS),
    )


class AuditCheckpoint(Base):
    """Up to this link everything was moved to a file."""

    __tablename__ = "audit_checkpoint"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=utc_now)
    file: Mapped[str] = mapped_column(String(255))


class IdempotencyKey(Base):
    """A call that happens once: what it made, and for a call of the API how it was answered, sealed.

    Without `operation` nothing was made yet; without `status` the call is still being worked on, or none of the API.
    """

    __tablename__ = "idempotency_key"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    operation: Mapped[str] = mapped_column(String(40), default="")
    request_digest: Mapped[str] = mapped_column(String(64), default="")
    resource_ids: Mapped[list[str]] = mapped_column(default=list)
    refusals: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, server_default="[]")  # of a call of many
    request_mac: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[int | None]
    sealed_body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class ImportJob(Row, Base):
    """A CSV file that is imported in the background, on behalf of the operator who uploaded it. How far: its task.

    Upload, refused rows and new passwords are sealed; the first is erased at the end, the others a day later or, new
    passwords, when they are fetched.
    """

    __tablename__ = "import_job"

    operator_id: Mapped[int] = mapped_column(Integer, index=True)  # no foreign key: what was done outlives people
    operator: Mapped[str] = mapped_column(String(80))
    ip: Mapped[str | None] = mapped_column(String(45))
    created: Mapped[int] = mapped_column(default=0)  # rows
    refused: Mapped[int] = mapped_column(default=0)
    sealed_upload: Mapped[str | None] = mapped_column(Text)
    sealed_rejected: Mapped[str | None] = mapped_column(Text)
    sealed_passwords: Mapped[str | None] = mapped_column(Text)  # new ones: of rows, in the end as they are given out
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # which columns are what; the headings, no cells
    dismissed: Mapped[bool] = mapped_column(default=False)  # its owner does not want to see it any more


class ScheduledTask(Base):
    """One piece of long work. What it is about stands in the rows that `subject` and `payload` name, and only there."""

    __tablename__ = "scheduled_task"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[UUID] = mapped_column(index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)  # ids only: no names, no secrets
    status: Mapped[str] = mapped_column(String(9), default=TaskStatus.WAITING)
    due_at: Mapped[datetime] = mapped_column(default=utc_now)
    owner: Mapped[str | None] = mapped_column(String(32))  # of one claim: a process that claims again has another
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)  # claims since it last got on
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('WAITING', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')", name="status"),
        CheckConstraint("(status = 'RUNNING') = (owner IS NOT NULL)", name="owner"),
        CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="lease"),
        CheckConstraint("(status IN ('WAITING', 'RUNNING')) = (finished_at IS NULL)", name="finished"),
        Index("ix_scheduled_task_open", "kind", "subject", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
        Index("ix_scheduled_task_due", "due_at", sqlite_where=OPEN, postgresql_where=OPEN),
    )
