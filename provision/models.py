"""The tables. A row of Mailbox or Alias is wanted state and its own queue at once.
`generation` counts what was wanted, `synced_generation` says which of it the server is known to hold,
`failed_generation` which was given up. Times are UTC; sizes are bytes, 0 means no limit.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from uuid6 import uuid7

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Status(StrEnum):
    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"
    DELETED = "DELETED"


class SyncStatus(StrEnum):
    SYNCED = "SYNCED"
    PENDING = "PENDING"
    FAILED = "FAILED"


class LogStatus(StrEnum):
    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class JobStatus(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class Role(StrEnum):
    SUPER_ADMIN = "SuperAdmin"
    DOMAIN_ADMIN = "DomainAdmin"
    VIEWER = "Viewer"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC both ways; SQLite has no zone of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


# Compared byte by byte on both databases, so that the beginning of an address is a range of an index.
ASCII = String(255).with_variant(String(255, collation="C"), "postgresql")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON, UUID: Uuid}


class Row:
    """What every table has: an integer inside, a UUIDv7 outside."""

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[UUID] = mapped_column(unique=True, default=uuid7, insert_sentinel=True)  # many INSERTs in one
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
    version: Mapped[int] = mapped_column(default=1)


SYNC_STATUS = (
    "CASE WHEN synced_generation = generation THEN 'SYNCED' WHEN failed_generation = generation THEN 'FAILED' "
    "ELSE 'PENDING' END"
)


class Synced:
    """How far the wanted state has come. `sync_status` is computed by the database, so it cannot disagree."""

    generation: Mapped[int] = mapped_column(default=1)
    synced_generation: Mapped[int] = mapped_column(default=0)
    failed_generation: Mapped[int] = mapped_column(default=0)
    sync_status: Mapped[str] = mapped_column(String(8), Computed(SYNC_STATUS, persisted=True))
    claimed: Mapped[bool] = mapped_column(default=False)  # the entry on the server is known to be ours
    confirming: Mapped[bool] = mapped_column(default=False)  # delivered, to be looked at once more
    removing: Mapped[bool] = mapped_column(default=False)  # tombstone: to be deleted on the server
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(40))
    last_synced_at: Mapped[datetime | None]


class Server(Row, Base):
    __tablename__ = "server"

    name: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    quiet_seconds: Mapped[float | None]  # None: 0 s below 200 accounts, 10 s above
    accounts: Mapped[int] = mapped_column(default=0)  # on the server when last read
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    last_read_at: Mapped[datetime | None]
    last_write_at: Mapped[datetime | None]
    last_probe_at: Mapped[datetime | None]  # when a process last took on to look after it
    last_import_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    alarm: Mapped[str | None] = mapped_column(Text)
    live: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what the running server last said of itself


class Domain(Row, Base):
    __tablename__ = "domain"

    name: Mapped[str] = mapped_column(ASCII, unique=True)
    server_id: Mapped[int] = mapped_column(ForeignKey("server.id"), index=True)
    description: Mapped[str] = mapped_column(Text, default="")
    default_quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    server: Mapped[Server] = relationship()


class Mailbox(Row, Synced, Base):
    __tablename__ = "mailbox"

    address: Mapped[str] = mapped_column(ASCII, unique=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    server_id: Mapped[int] = mapped_column(ForeignKey("server.id"))  # the domain's, here for the queue's index
    display_name: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[str] = mapped_column(String(8), default=Status.ACTIVE)
    quota_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    quota_messages: Mapped[int | None] = mapped_column(BigInteger)
    status_before: Mapped[str | None] = mapped_column(String(8))  # of a soft-deleted one
    sealed_password: Mapped[str | None] = mapped_column(Text)  # only until it is delivered
    erase_mail: Mapped[bool] = mapped_column(default=False)
    used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_messages: Mapped[int | None] = mapped_column(BigInteger)
    used_at: Mapped[datetime | None]
    used_percent: Mapped[int | None] = mapped_column(
        BigInteger, Computed("CASE WHEN quota_bytes > 0 THEN used_bytes * 100 / quota_bytes END", persisted=True)
    )
    domain: Mapped[Domain] = relationship()

    __table_args__ = (
        CheckConstraint("status IN ('ACTIVE', 'DISABLED', 'DELETED')", name="status"),
        CheckConstraint("quota_bytes >= 0", name="quota"),
        Index("ix_mailbox_status_sync_status", "status", "sync_status"),
        Index("ix_mailbox_server_id_sync_status", "server_id", "sync_status", "confirming"),
    )


class Alias(Row, Synced, Base):
    __tablename__ = "alias"

    address: Mapped[str] = mapped_column(ASCII, unique=True)  # `@example.com` is the catch-all
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    server_id: Mapped[int] = mapped_column(ForeignKey("server.id"))
    mailbox_id: Mapped[int | None] = mapped_column(ForeignKey("mailbox.id", ondelete="SET NULL"), index=True)
    destinations: Mapped[list[str]] = mapped_column(default=list)
    domain: Mapped[Domain] = relationship()
    mailbox: Mapped[Mailbox | None] = relationship()

    __table_args__ = (
        Index("ix_alias_domain_id_address", "domain_id", "address"),
        Index("ix_alias_server_id_sync_status", "server_id", "sync_status", "confirming"),
        Index("ix_alias_sync_status", "sync_status"),
    )


operator_domain = Table(
    "operator_domain",
    Base.metadata,
    Column("operator_id", ForeignKey("operator.id", ondelete="CASCADE"), primary_key=True),
    Column("domain_id", ForeignKey("domain.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Operator(Row, Base):
    """A person who signs in here. `email` ties him to a mailbox, so that nobody below him resets it."""

    __tablename__ = "operator"

    username: Mapped[str] = mapped_column(String(80), unique=True)
    display_name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str | None] = mapped_column(String(255), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str] = mapped_column(String(100))
    must_change_password: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
    language: Mapped[str | None] = mapped_column(String(5))  # None: what the browser asks for
    domains: Mapped[list[Domain]] = relationship(secondary=operator_domain)


class AdminSession(Base):
    """Somebody signed in to the dashboard. The token itself is only in his browser; here is its SHA-256."""

    __tablename__ = "admin_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id", ondelete="CASCADE"), index=True)
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    operator: Mapped[Operator] = relationship()


api_token_domain = Table(
    "api_token_domain",
    Base.metadata,
    Column("api_token_id", ForeignKey("api_token.id", ondelete="CASCADE"), primary_key=True),
    Column("domain_id", ForeignKey("domain.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class ApiToken(Row, Base):
    """A program that calls the API. The token itself is only with the program; here is its SHA-256."""

    __tablename__ = "api_token"

    name: Mapped[str] = mapped_column(String(70), unique=True)  # the log speaks of `token:<name>`
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(default=list)
    everywhere: Mapped[bool] = mapped_column(default=False)  # all domains, also those to come
    networks: Mapped[list[str]] = mapped_column(default=list)  # empty: from anywhere
    created_by: Mapped[str] = mapped_column(String(80))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[str | None] = mapped_column(String(45))
    domains: Mapped[list[Domain]] = relationship(secondary=api_token_domain)


class ApiAnswer(Base):
    """What a POST with an Idempotency-Key was answered, sealed; without `status` it is still being worked on."""

    __tablename__ = "api_answer"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    sealed_body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class SignInGuard(Base):
    """Failed sign-ins in a row for one account name or one IP; a name counts whether it exists or not."""

    __tablename__ = "sign_in_guard"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)  # "name:…" or "ip:…"
    failures: Mapped[int] = mapped_column(default=0)
    since: Mapped[datetime] = mapped_column(default=utc_now)
    locked_until: Mapped[datetime | None]


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
        Index("ix_provision_log_resource", "resource_type", "resource_id", "status"),
        Index("ix_provision_log_started_at", "started_at"),
        Index("ix_provision_log_operation", "operation", "id"),
        Index("ix_provision_log_status", "status", "id"),
        Index("ix_provision_log_operator", "operator", "id"),
        Index("ix_provision_log_resource_name", "resource_name", "id"),
    )


class AuditLink(Base):
    """One link of the chain over the log: an intent or an outcome, hashed with the link before it."""

    __tablename__ = "audit_link"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    phase: Mapped[str] = mapped_column(String(8))
    log_uid: Mapped[UUID] = mapped_column(index=True)
    digest: Mapped[str] = mapped_column(String(64))  # of the record's fields of this phase
    hash: Mapped[str] = mapped_column(String(64))  # of this link and the hash before


class IdempotencyKey(Base):
    """A creating call that was made: the same key again gives the same thing."""

    __tablename__ = "idempotency_key"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    operation: Mapped[str] = mapped_column(String(40))
    request_digest: Mapped[str] = mapped_column(String(64))
    resource_ids: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class ImportJob(Row, Base):
    """A CSV file that is imported in the background, on behalf of the operator who uploaded it.

    The upload and the refused rows hold passwords: both are sealed, the one is erased at the end, the other a day later.
    """

    __tablename__ = "import_job"

    operator_id: Mapped[int] = mapped_column(Integer, index=True)  # no foreign key: what was done outlives people
    operator: Mapped[str] = mapped_column(String(80))
    ip: Mapped[str | None] = mapped_column(String(45))
    status: Mapped[str] = mapped_column(String(9), default=JobStatus.WAITING, index=True)
    total: Mapped[int] = mapped_column(default=0)  # rows; the three below count them, too
    done: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    sealed_upload: Mapped[str | None] = mapped_column(Text)
    sealed_rejected: Mapped[str | None] = mapped_column(Text)
    cancelling: Mapped[bool] = mapped_column(default=False)
    dismissed: Mapped[bool] = mapped_column(default=False)  # its owner does not want to see it any more
    claim: Mapped[str | None] = mapped_column(String(32))  # of the process that runs it
    claims: Mapped[int] = mapped_column(default=0)  # how often it was begun or taken up again
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
