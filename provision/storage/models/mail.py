"""What should exist: mail servers, domains, mailboxes, aliases."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Computed, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from provision.core.address import readable
from provision.core.letters import folded
from provision.core.state import Resource
from provision.storage.models.base import ASCII, Base, Row, Status, Synced


class Server(Row, Base):
    __tablename__ = "server"

    name: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sealed_settings: Mapped[str | None] = mapped_column(Text, deferred=True)  # the secret ones; `***` in `settings`
    quiet_seconds: Mapped[float | None]  # None: as its kind says
    accounts: Mapped[int] = mapped_column(default=0)  # on the server when last read
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    silent_until: Mapped[datetime | None]  # the server asked to hear nothing before
    last_read_at: Mapped[datetime | None]
    last_write_at: Mapped[datetime | None]
    last_probe_at: Mapped[datetime | None]  # when a process last took on to look after it
    last_import_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    alarm: Mapped[str | None] = mapped_column(Text)
    live: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what the running server last said of itself
    rules: Mapped[list[list[str]]] = mapped_column(
        JSON, default=list, server_default="[]", deferred=True
    )  # as last read


class Domain(Row, Base):
    __tablename__ = "domain"

    name: Mapped[str] = mapped_column(ASCII, unique=True)
    server_id: Mapped[int] = mapped_column(ForeignKey("server.id"), index=True)
    description: Mapped[str] = mapped_column(Text, default="")
    default_quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    server: Mapped[Server] = relationship()


MOST_SEARCHED = 600  # characters: what PostgreSQL takes into an index has an end, and one letter can become eighteen


def search_text(address: str, display_name: str) -> str:
    """In which a mailbox is searched for: its address, as stored and as people write it, and its name."""
    return folded(" ".join(dict.fromkeys((address, readable(address), display_name))))[:MOST_SEARCHED]


def _searched(context: Any) -> str:
    given = context.get_current_parameters()
    return search_text(given["address"], given.get("display_name") or "")


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
    login_open: Mapped[bool] = mapped_column(default=False, server_default=false())  # the same: left as it is there
    sealed_password: Mapped[str | None] = mapped_column(Text)  # only until it is delivered
    erase_mail: Mapped[bool] = mapped_column(default=False)
    used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_messages: Mapped[int | None] = mapped_column(BigInteger)
    used_at: Mapped[datetime | None]
    used_percent: Mapped[int | None] = mapped_column(
        BigInteger, Computed("CASE WHEN quota_bytes > 0 THEN used_bytes * 100 / quota_bytes END", persisted=True)
    )
    searched: Mapped[str] = mapped_column(Text, default=_searched, server_default="", deferred=True)
    domain: Mapped[Domain] = relationship()

    @validates("display_name")
    def _search_by(self, _: str, display_name: str) -> str:
        if self.address:
            self.searched = search_text(self.address, display_name)
        return display_name

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
    mailbox_id: Mapped[int | None] = mapped_column(ForeignKey("mailbox.id", ondelete="SET NULL"))
    destinations: Mapped[list[str]] = mapped_column(default=list)
    domain: Mapped[Domain] = relationship()
    mailbox: Mapped[Mailbox | None] = relationship()

    __table_args__ = (
        Index("ix_alias_domain_id_address", "domain_id", "address"),
        Index("ix_alias_mailbox_id_address", "mailbox_id", "address"),
        Index("ix_alias_server_id_sync_status", "server_id", "sync_status", "confirming"),
        Index("ix_alias_sync_status", "sync_status"),
    )


# What is kept on a mail server: rows that are their own queue.
TABLES: dict[Resource, type[Mailbox] | type[Alias]] = {Resource.MAILBOX: Mailbox, Resource.ALIAS: Alias}
