"""The key that seals what waits: a new one in front, everything sealed anew, the old ones away.

Two steps, because other processes go on while this happens: they notice the changed file at once, but what they sealed
a moment before with the old key must still be readable. So `rotate` keeps the old keys, and `retire` drops them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select, update

from provision import audit
from provision.access import Actor, Permission
from provision.bootstrap import Postroom
from provision.database import Database
from provision.models import ApiAnswer, ImportJob, Mailbox
from provision.sealing import Sealer, add_key, keep_first_key

SEALED: tuple[tuple[Any, Any, str], ...] = (
    (Mailbox, Mailbox.id, "sealed_password"),
    (ApiAnswer, ApiAnswer.key, "sealed_body"),
    (ImportJob, ImportJob.id, "sealed_upload"),
    (ImportJob, ImportJob.id, "sealed_rejected"),
)
CHUNK = 500


def rotate(app: Postroom, actor: Actor) -> int:
    """Put a new key in front and seal everything with it; how many were sealed anew. Raises: ProvisionError."""
    actor.require(Permission.SERVER_WRITE)
    add_key(app.settings.key_file)
    count = reseal(app.database, Sealer.from_file(app.settings.key_file))
    _record(app.database, actor, "key.rotate", count)
    return count


def retire(app: Postroom, actor: Actor) -> int:
    """Seal anew what still needs an old key, then forget the old keys. Raises: ProvisionError."""
    actor.require(Permission.SERVER_WRITE)
    count = reseal(app.database, Sealer.from_file(app.settings.key_file))
    keep_first_key(app.settings.key_file)
    _record(app.database, actor, "key.retire", count)
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
        audit.record_done(session, actor, operation, [audit.Subject("key")], {"resealed": count})
