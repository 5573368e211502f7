"""What the tables have in common: their columns, the words some columns hold, times in UTC."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, Computed, DateTime, Dialect, MetaData, String, Text, TypeDecorator, Uuid, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
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


class TaskStatus(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


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
    """What tables of things have that people speak of: an integer inside, a UUIDv7 outside."""

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
    owned: Mapped[bool] = mapped_column("claimed", default=False)  # the entry on the server is known to be ours
    confirming: Mapped[bool] = mapped_column(default=False)  # delivered, to be looked at once more
    removing: Mapped[bool] = mapped_column(default=False)  # tombstone: to be deleted on the server
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(40))
    last_synced_at: Mapped[datetime | None]

    @property
    def log_uid(self) -> UUID | None:
        """Of the record of the change that was just made to it, for whoever made it; None where nothing changed."""
        found: UUID | None = inspect(self).info.get("log_uid")
        return found

    @log_uid.setter
    def log_uid(self, uid: UUID | None) -> None:
        inspect(self).info["log_uid"] = uid

    @property
    def removed(self) -> list[str]:
        """Addresses of aliases that went with it, when it was deleted in this call."""
        found: list[str] = inspect(self).info.get("removed", [])
        return found

    @removed.setter
    def removed(self, addresses: list[str]) -> None:
        inspect(self).info["removed"] = addresses
