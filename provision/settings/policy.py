"""The rules in force: what a SuperAdmin has set in the database; where nothing is set, what the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.core.passwords import PasswordRules
from provision.settings.config import Settings
from provision.storage.models import PolicyRow


@dataclass(frozen=True, slots=True)
class Policy:
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


NAMES = tuple(field.name for field in fields(Policy))


def in_force(session: Session, settings: Settings) -> Policy:
    """Read at each use, so that a change holds at once in every process; it is one row."""
    row = session.execute(select(*(getattr(PolicyRow, name) for name in NAMES))).one()
    return over(settings, row._asdict())


def over(settings: Settings, chosen: Mapping[str, Any]) -> Policy:
    """The settings, with what was chosen in the database before them."""
    return Policy(**{name: getattr(settings, name) if chosen[name] is None else chosen[name] for name in NAMES})
