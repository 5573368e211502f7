"""The rules that a SuperAdmin has set; how they hold: `provision.settings.policy`."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from provision.storage.models.base import Base, utc_now


class PolicyRow(Base):
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
