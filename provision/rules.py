"""The rules in force: what a SuperAdmin has set in the database; where he has set nothing, what the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from provision.config import Settings
from provision.models import Base, utc_now
from provision.passwords import PasswordRules


class Policy(Base):
    """The one row of rules that a SuperAdmin has set; what is None is as the environment says."""

    __tablename__ = "policy"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
    password_min_length: Mapped[int | None]
    password_max_length: Mapped[int | None]
    password_classes: Mapped[int | None]
    default_quota_mb: Mapped[int | None] = mapped_column(BigInteger)
    max_attempts: Mapped[int | None]
    retry_base_seconds: Mapped[float | None]
    retry_cap_seconds: Mapped[float | None]
    enable_auto_import: Mapped[bool | None]
    auto_import_interval: Mapped[int | None]

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


@dataclass(frozen=True, slots=True)
class Rules:
    """Each by the name it has in Settings, where its meaning, its bounds and its default are."""

    password_min_length: int
    password_max_length: int
    password_classes: int
    default_quota_mb: int
    max_attempts: int
    retry_base_seconds: float
    retry_cap_seconds: float
    enable_auto_import: bool
    auto_import_interval: int

    @property
    def passwords(self) -> PasswordRules:
        """A least length above the most, as the environment may have it, counts: it is the stricter one."""
        longest = max(self.password_min_length, self.password_max_length)
        return PasswordRules(self.password_min_length, longest, self.password_classes)


NAMES = tuple(field.name for field in fields(Rules))


def in_force(session: Session, settings: Settings) -> Rules:
    """Read at each use, so that a change holds at once in every process; it is one row."""
    row = session.execute(select(*(getattr(Policy, name) for name in NAMES))).one()
    return over(settings, row._asdict())


def over(settings: Settings, chosen: Mapping[str, Any]) -> Rules:
    """The settings, with what was chosen in the database before them."""
    return Rules(**{name: getattr(settings, name) if chosen[name] is None else chosen[name] for name in NAMES})
