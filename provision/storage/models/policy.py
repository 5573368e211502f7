"""The rules that a SuperAdmin has set; how they hold: `provision.settings.policy`."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Float
from sqlalchemy.orm import Mapped, mapped_column

from provision.core.policy import NAMES, kind
from provision.storage.models.base import Base, utc_now

COLUMNS = {int: BigInteger, float: Float, bool: Boolean}


class PolicyRow(Base):
    """The one row of rules that a SuperAdmin has set; what is None is as the environment says."""

    __tablename__ = "policy"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


for name in NAMES:
    setattr(PolicyRow, name, mapped_column(COLUMNS[kind(name)], nullable=True))
