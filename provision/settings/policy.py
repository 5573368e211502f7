"""The rules in force: what a SuperAdmin has set in the database; where nothing is set, what the environment says."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.core.policy import NAMES, Policy
from provision.settings.config import Settings
from provision.storage.models import PolicyRow


def in_force(session: Session, settings: Settings) -> Policy:
    """Read at each use, so that a change holds at once in every process; it is one row."""
    row = session.execute(select(*(getattr(PolicyRow, name) for name in NAMES))).one()
    return over(settings, row._asdict())


def over(settings: Settings, chosen: Mapping[str, Any]) -> Policy:
    """The settings, with what was chosen in the database before them."""
    values = {name: getattr(settings, name) if chosen[name] is None else chosen[name] for name in NAMES}
    return Policy.model_construct(**values)  # checked when they were set
