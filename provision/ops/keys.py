"""The key that seals what waits: a new one in front, everything sealed anew, the old ones away.

Two steps, because other processes go on while this happens: they notice the changed file at once, but what they sealed
a moment before with the old key must still be readable. So `rotate` keeps the old keys, and `retire` drops them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from provision.audit import chain
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict, ProvisionError
from provision.storage.database import Database
from provision.storage.encryption import Sealer, add_key, keep_first_key
from provision.storage.models import ApiAnswer, ImportJob, Mailbox

SEALED: tuple[tuple[Any, Any, str], ...] = (
    (Mailbox, Mailbox.id, "sealed_password"),
    (ApiAnswer, ApiAnswer.key, "sealed_body"),
    (ImportJob, ImportJob.id, "sealed_upload"),
    (ImportJob, ImportJob.id, "sealed_rejected"),
)
CHUNK = 500


def open_sealer(path: Path, database: Database) -> Sealer:
    """With the keys of that file, made at the first start. Raises: ProvisionError where it is gone, and needed."""
    if not path.exists() and is_needed(database):
        raise ProvisionError(
            f"The key file {path} is gone, and what waits in the database was sealed with it. Put it back. "
            "If it is lost for good: python -m provision key new; what waits must be set anew then.",
            code="KEY_UNUSABLE",
        )
    return Sealer.from_file(path)


def is_needed(database: Database) -> bool:
    """Whether something waits that was sealed."""
    return any(found for _, found in _sealed(database))


def make_new(path: Path) -> None:
    """A key file in place of one that is lost for good. Raises: Conflict where there is one."""
    if path.exists():
        raise Conflict(f"{path} is there; to change the key: python -m provision key rotate", code="FILE_EXISTS")
    Sealer.from_file(path)


def rotate(path: Path, database: Database, actor: Actor) -> int:
    """Put a new key in front and seal everything with it; how many were sealed anew. Raises: ProvisionError."""
    actor.require(Permission.SERVER_WRITE)
    add_key(path)
    count = reseal(database, Sealer.from_file(path))
    _record(database, actor, "key.rotate", count)
    return count


def retire(path: Path, database: Database, actor: Actor) -> int:
    """Seal anew what still needs an old key, then forget the old keys. Raises: ProvisionError."""
    actor.require(Permission.SERVER_WRITE)
    count = reseal(database, Sealer.from_file(path))
    keep_first_key(path)
    _record(database, actor, "key.retire", count)
    return count


def reseal(database: Database, sealer: Sealer) -> int:
    """Everything under the first key. What changes meanwhile stays as it was written, what no key opens stays, too."""
    count = 0
    for (table, key, column), found in _sealed(database):
        sealed = getattr(table, column)
        for start in range(0, len(found), CHUNK):
            with database.write() as session:
                for name, old in found[start : start + CHUNK]:
                    if sealer.opens(old):
                        same = (key == name, sealed == old)
                        session.execute(update(table).where(*same).values({column: sealer.reseal(old)}))
                        count += 1
    return count


def unreadable(database: Database, sealer: Sealer) -> int:
    """How many waiting secrets no key of the file opens."""
    return sum(not sealer.opens(text) for _, found in _sealed(database) for _name, text in found)


def _sealed(database: Database) -> Iterator[tuple[tuple[Any, Any, str], Sequence[Any]]]:
    """Each place of SEALED with the keys of its rows and what is sealed in them."""
    for place in SEALED:
        table, key, column = place
        sealed = getattr(table, column)
        with database.read() as session:
            found = session.execute(select(key, sealed).where(sealed.is_not(None))).all()
        yield place, found


def _record(database: Database, actor: Actor, operation: str, count: int) -> None:
    with database.write() as session:
        chain.record_done(session, actor, operation, [chain.Subject("key")], {"resealed": count})
