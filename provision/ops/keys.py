"""The key that seals what waits: a new one in front, everything sealed again, the old ones away.

Two steps, because other processes go on while this happens: they notice the changed file at once, but what they sealed
a moment before with the old key must still be readable. So `rotate` keeps the old keys, and `retire` drops them.
"""

from pathlib import Path

from provision.audit import chain
from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict
from provision.storage.database import Database
from provision.storage.encryption import Sealer, add_key, keep_first_key, keys_in
from provision.storage.sealed import reseal


def make_new(*paths: Path) -> list[Path]:
    """Key files in place of those that are lost for good; which. Raises: Conflict where all are there."""
    lost = [path for path in paths if not path.exists()]
    if not lost:
        there = " and ".join(map(str, paths))
        raise Conflict(f"{there} are there; to change the first: python -m provision key rotate", code="FILE_EXISTS")
    for path in lost:
        keys_in(path)
    return lost


def rotate(path: Path, database: Database, actor: Actor) -> int:
    """Put a new key in front and seal everything with it; how many that were. Raises: ProvisionError."""
    actor.require(Permission.SERVER_WRITE)
    add_key(path)
    count = reseal(database, Sealer.from_file(path))
    _record(database, actor, Operation.KEY_ROTATE, count)
    return count


def retire(path: Path, database: Database, actor: Actor) -> int:
    """Seal again what still needs an old key, then forget the old keys. Raises: ProvisionError."""
    actor.require(Permission.SERVER_WRITE)
    count = reseal(database, Sealer.from_file(path))
    keep_first_key(path)
    _record(database, actor, Operation.KEY_RETIRE, count)
    return count


def _record(database: Database, actor: Actor, operation: Operation, count: int) -> None:
    with database.write() as session:
        chain.record_done(session, actor, operation, [chain.Subject("key")], {"resealed": count})
