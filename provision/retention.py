"""What is not needed for ever."""

from datetime import timedelta

from sqlalchemy import delete

from provision.database import Database
from provision.models import IdempotencyKey, ImportJob, utc_now

KEPT_KEYS = timedelta(days=7)  # of creating calls
KEPT_IMPORTS = timedelta(days=90)


def prune(database: Database) -> int:
    """Remove what nobody asks for any more; how many rows. The provision log is not touched."""
    now = utc_now()
    old = (
        delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT_KEYS),
        delete(ImportJob).where(ImportJob.finished_at < now - KEPT_IMPORTS),
    )
    count = 0
    for statement in old:
        with database.write() as session:
            count += session.execute(statement).rowcount  # type: ignore[attr-defined]
    return count
