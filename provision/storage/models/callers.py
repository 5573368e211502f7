"""Who may use this: operators, who sign in, and programs with a token."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from provision.storage.models.base import Base, Row, utc_now
from provision.storage.models.mail import Domain

operator_domain = Table(
    "operator_domain",
    Base.metadata,
    Column("operator_id", ForeignKey("operator.id", ondelete="CASCADE"), primary_key=True),
    Column("domain_id", ForeignKey("domain.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Operator(Row, Base):
    """A person who signs in here. `email` ties them to a mailbox, so that nobody below them resets it."""

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
    """Somebody signed in to the dashboard. The token itself is only in their browser; here is its SHA-256."""

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


class SignInGuard(Base):
    """Failed sign-ins in a row for one account name or one IP; a name counts whether it exists or not."""

    __tablename__ = "sign_in_guard"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)  # "name:…" or "ip:…"
    failures: Mapped[int] = mapped_column(default=0)
    since: Mapped[datetime] = mapped_column(default=utc_now)
    locked_until: Mapped[datetime | None]
